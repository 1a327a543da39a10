/* formats/savedmodel/flow.c */
#include "formats/savedmodel/sm_int.h"

#include "base/ban.h"

const sm_row sm_flow[] = {{0}};
