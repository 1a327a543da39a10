/* kernels/dnnl/conv_act.h - what follows a convolution, as post-operations of oneDNN. */
#ifndef MAAS_KERNELS_DNNL_CONV_ACT_H
#define MAAS_KERNELS_DNNL_CONV_ACT_H

#include <oneapi/dnnl/dnnl.h>

#include "ops/fused_conv.h"

void maas_dnnl_append_act(dnnl_post_ops_t ops, const maas_conv_act *a);
/* oneDNN gives an algorithm that comes twice the numbers of the first. `linear` and `clip`: how
 * often these come already. */
bool maas_dnnl_acts_differ(const maas_conv_act *act, int n, int linear, int clip);

#endif
