/* base/ban.h - included last by every .c file of ours: calls that have a safe replacement do not
 * compile. */
#ifndef MAAS_BASE_BAN_H
#define MAAS_BASE_BAN_H

#undef strcpy
#define strcpy(a, b) maas_banned_use_buf(strcpy)
#undef strcat
#define strcat(a, b) maas_banned_use_buf(strcat)
#undef strncpy
#define strncpy(a, b, n) maas_banned_use_snprintf(strncpy)
#undef strncat
#define strncat(a, b, n) maas_banned_use_buf(strncat)
#undef sprintf
#define sprintf(...) maas_banned_use_snprintf(sprintf)
#undef vsprintf
#define vsprintf(...) maas_banned_use_vsnprintf(vsprintf)
#undef gets
#define gets(a) maas_banned_use_fgets(gets)
#undef atoi
#define atoi(a) maas_banned_use_num_parse(atoi)
#undef atol
#define atol(a) maas_banned_use_num_parse(atol)
#undef atof
#define atof(a) maas_banned_use_num_parse(atof)
#undef sscanf
#define sscanf(...) maas_banned_use_span(sscanf)
#undef strtok
#define strtok(a, b) maas_banned_use_span(strtok)
#undef system
#define system(a) maas_banned_use_sys_spawn(system)
#undef popen
#define popen(a, b) maas_banned_use_sys_spawn(popen)
#undef rand
#define rand() maas_banned_use_rng(rand)

#endif
