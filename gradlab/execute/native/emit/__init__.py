"""LLVM IR for the kernels of a plan."""
