/*
 * kernels/cpu/forest_step.h - one step of a walk in five or six instructions of x86-64.
 *
 * Compilers spill the places of eight walks to the stack and add to them there, which makes a walk
 * half as slow again; the carry of the comparison is the step to the second child. C says the same
 * in WALK(step) of forest_walk.h, and is what runs on other processors and for sets of members.
 *
 *   p  place: number of a node, 64 bits of which the upper half is zero
 *   n  all nodes         x  a group of rows; `lane` is the byte of the lane in a slot
 */
#ifndef MAAS_KERNELS_CPU_FOREST_STEP_H
#define MAAS_KERNELS_CPU_FOREST_STEP_H

#if defined(__x86_64__) && (defined(MAAS_ISA_AVX2) || defined(MAAS_ISA_AVX512))
#define FOREST_STEPS

/* maas_node_small: split at 0, slot at 4, next at 6. */
#define FOREST_STEP_SMALL(p, n, x, lane)                                                           \
    do {                                                                                           \
        uint64_t t_;                                                                               \
        float s_;                                                                                  \
        __asm__ volatile("movzwl 4(%[nodes],%[place],8), %k[t]\n\t"                                \
                         "vmovss (%[nodes],%[place],8), %[s]\n\t"                                  \
                         "vucomiss " lane "(%[rows],%[t],8), %[s]\n\t"                             \
                         "movzwl 6(%[nodes],%[place],8), %k[t]\n\t"                                \
                         "adcl %k[t], %k[place]"                                                   \
                         : [place] "+r"(p), [t] "=&r"(t_), [s] "=&x"(s_)                           \
                         : [nodes] "r"(n), [rows] "r"(x)                                           \
                         : "cc", "memory");                                                        \
    } while (0)

/* maas_node_double: split at 0, slot at 8, next at 12; 16 bytes, so a place is doubled first. */
#define FOREST_STEP_DOUBLE(p, n, x, lane)                                                          \
    do {                                                                                           \
        uint64_t a_, t_;                                                                           \
        double s_;                                                                                 \
        __asm__ volatile("lea (%[place],%[place]), %[a]\n\t"                                       \
                         "movl 8(%[nodes],%[a],8), %k[t]\n\t"                                      \
                         "vmovsd (%[nodes],%[a],8), %[s]\n\t"                                      \
                         "vucomisd " lane "(%[rows],%[t],8), %[s]\n\t"                             \
                         "movl 12(%[nodes],%[a],8), %k[t]\n\t"                                     \
                         "adcl %k[t], %k[place]"                                                   \
                         : [place] "+r"(p), [a] "=&r"(a_), [t] "=&r"(t_), [s] "=&x"(s_)            \
                         : [nodes] "r"(n), [rows] "r"(x)                                           \
                         : "cc", "memory");                                                        \
    } while (0)

/* All lanes: one row each, or the same row for all. */
#define FOREST_LANES(STEP, p, n, x, a, b, c, d, e, f, g, h)                                        \
    do {                                                                                           \
        STEP((p)[0], n, x, a);                                                                     \
        STEP((p)[1], n, x, b);                                                                     \
        STEP((p)[2], n, x, c);                                                                     \
        STEP((p)[3], n, x, d);                                                                     \
        STEP((p)[4], n, x, e);                                                                     \
        STEP((p)[5], n, x, f);                                                                     \
        STEP((p)[6], n, x, g);                                                                     \
        STEP((p)[7], n, x, h);                                                                     \
    } while (0)
#define FOREST_ROWS_SMALL(p, n, x)                                                                 \
    FOREST_LANES(FOREST_STEP_SMALL, p, n, x, "0", "4", "8", "12", "16", "20", "24", "28")
#define FOREST_ROWS_DOUBLE(p, n, x)                                                                \
    FOREST_LANES(FOREST_STEP_DOUBLE, p, n, x, "0", "8", "16", "24", "32", "40", "48", "56")
#define FOREST_ROW_SMALL(p, n, x)                                                                  \
    FOREST_LANES(FOREST_STEP_SMALL, p, n, x, "0", "0", "0", "0", "0", "0", "0", "0")
#define FOREST_ROW_DOUBLE(p, n, x)                                                                 \
    FOREST_LANES(FOREST_STEP_DOUBLE, p, n, x, "0", "0", "0", "0", "0", "0", "0", "0")

#endif
#endif
