/* base/sys_int.h - private to sys_*.c: how a system call asks whether a test wants it to fail. */
#ifndef MAAS_BASE_SYS_INT_H
#define MAAS_BASE_SYS_INT_H

#include "base/sys.h"

#ifdef MAAS_FAULTS
bool maas_sys_fault(maas_sys_call call); /* true: fail now, errno says how */
#else
static inline bool maas_sys_fault(maas_sys_call call)
{
    (void)call;
    return false;
}
#endif

#endif
