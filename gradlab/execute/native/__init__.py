"""Floor 2: machine code for a Graph, by LLVM."""
