"""The native backend: C++ kernels for the CPU, built while trovid is installed."""
