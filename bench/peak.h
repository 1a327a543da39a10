/* bench/peak.h - what the cores could do: independent multiply-adds in registers, nothing else. */
#ifndef MAAS_BENCH_PEAK_H
#define MAAS_BENCH_PEAK_H

double bench_peak_gflops(int n_threads); /* best of several short runs, single precision */

#endif
