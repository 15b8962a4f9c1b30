"""The special kernels by row, to be added to a module of LLVM."""

from __future__ import annotations

from llvmlite import ir

from gradlab.execute.native.emit.element import I8, I64, memory
from gradlab.execute.native.emit.special import (
    along,
    convolution,
    folding,
    gather,
    joining,
    random,
    sorting,
)
from gradlab.execute.native.emit.special.kernel import Call, Frame, Special
from gradlab.execute.native.math.attributes import set_attribute

SPECIALS: dict[str, Special] = {
    "cumsum": along.CUMSUM,
    "argmax": along.ARGMAX,
    "argmin": along.ARGMIN,
    "argsort": sorting.ARGSORT,
    "concat": joining.CONCAT,
    "conv": convolution.CONV,
    "conv_input": convolution.CONV_INPUT,
    "conv_kernel": convolution.CONV_KERNEL,
    "fold": folding.FOLD,
    "index": gather.INDEX,
    "index_add": gather.INDEX_ADD,
    "random_bits": random.BITS,
    "random_uniform": random.UNIFORM,
}
"""Every row with a kernel of its own."""


def emit(module: ir.Module, call: Call, width: int) -> ir.Function:
    """The kernel of a call, which is added to the module where it is missing.

    Args:
        module: the module that is to hold it.
        call: the row with all that its kernel depends on.
        width: float32 elements in one vector of the machine.
    """
    if call.symbol in module.globals:
        return module.get_global(call.symbol)
    special = SPECIALS[call.name]
    pointers = [memory(dtype).as_pointer() for dtype in (call.dtype, *call.dtypes)]
    scratch = [I8.as_pointer()] if special.scratch_bytes(call) else []
    error = [ir.IntType(32).as_pointer()] if special.checks else []
    signature = ir.FunctionType(ir.VoidType(), [I64, I64, *pointers, *scratch, *error])
    kernel = ir.Function(module, signature, call.symbol)
    kernel.linkage = "internal"
    set_attribute(kernel, "stackrealign")
    for pointer in kernel.args[2:]:
        pointer.add_attribute("noalias")
    begin, end, out, *rest = kernel.args
    inputs = [rest.pop(0) for _ in call.dtypes]
    b = ir.IRBuilder(kernel.append_basic_block("entry"))
    special.build(
        Frame(
            *(b, call, begin, end, out, inputs),
            scratch=rest.pop(0) if scratch else None,
            error=rest.pop(0) if error else None,
            width=width,
        )
    )
    b.ret_void()
    return kernel
