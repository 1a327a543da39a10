#include "formats/keras/keras_int.h"
const kr_row kr_convolutions[] = {{0}}, kr_pools[] = {{0}}, kr_norms[] = {{0}}, kr_merges[] = {{0}}, kr_shapes[] = {{0}}, kr_recurrent[] = {{0}}, kr_attention[] = {{0}};
