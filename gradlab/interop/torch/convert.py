"""``to_torch`` and ``from_torch``: models with the same names, weights and outputs."""

from __future__ import annotations

from typing import Any

from gradlab.errors import ArgumentError, one_of, require
from gradlab.graph import Variable
from gradlab.graph.dtypes import DType
from gradlab.interop.torch.layers import CONTAINERS, LAYERS, Layer
from gradlab.interop.torch.replay import Replay, added, parameter
from gradlab.interop.torch.rows import to_tensor
from gradlab.nn import Module, ModuleList

torch: Any = require("torch", "torch")


def to_torch(module: Module) -> Any:
    """The equivalent ``torch.nn.Module``: same names in ``state_dict``, same weights and mode.

    Containers and layers that PyTorch has become PyTorch's. Any other module, and one with a
    ``forward`` of its own, becomes a ``Replay``: it records the gradlab module's operations for
    each new kind of input and runs them as PyTorch's functions, with PyTorch's gradients. At
    kinks (√x at 0) the gradient is PyTorch's choice.

    Args:
        module: any gradlab module. A Variable that is shared stays shared, and one that is not
            trainable is not trained there either.

    Raises:
        ArgumentError: no gradlab module, or a name such as "type" that PyTorch's modules use.
        MissingExtraError: PyTorch is not installed.

    >>> from gradlab import nn
    >>> to_torch(nn.MLP((2, 3, 1), "tanh"))
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): Tanh()
      (2): Linear(in_features=3, out_features=1, bias=True)
    )
    """
    if not isinstance(module, Module):
        raise ArgumentError(f"to_torch takes a module of gradlab, got {type(module)}")
    made = _To().converted(module)
    twins = module.named_modules()
    for path, part in made.named_modules():
        part.training = twins[path].training if path in twins else module.training
    return made


class _To:
    """One conversion to PyTorch, which knows what was converted already."""

    def __init__(self) -> None:
        self.parameters: dict[Variable, Any] = {}
        self.modules: dict[Module, Any] = {}

    def converted(self, module: Module) -> Any:
        if module not in self.modules:
            self.modules[module] = self._made(module)
        return self.modules[module]

    def _made(self, module: Module) -> Any:
        for row in CONTAINERS:
            if _acts_as(module, row.ours):
                parts = {k: part for k, part in vars(module).items() if isinstance(part, Module)}
                if not {path.partition(".")[0] for path in module.named_variables()} <= set(parts):
                    break  # a container with Variables of its own
                made = row.theirs()
                for name, part in parts.items():
                    added(made.add_module, name, self.converted(part))
                return made
        for row in LAYERS:
            if row.to_torch and _acts_as(module, row.ours):
                with torch.device("meta"):  # without numbers, which come now
                    made = row.to_torch(module)
                for name, value in vars(module).items():
                    if isinstance(value, Variable):
                        self._give(made, name, value)
                return made
        return Replay(module, self.parameters)

    def _give(self, made: Any, name: str, variable: Variable) -> None:
        if name in made._buffers:
            setattr(made, name, to_tensor(variable.held.value))
        else:
            setattr(made, name, parameter(variable, self.parameters))


def _acts_as(module: Module, kind: type[Module]) -> bool:
    """Whether a module computes what a class says, being of it or one that changes no forward."""
    return isinstance(module, kind) and type(module).forward is kind.forward


def from_torch(module: Any) -> Any:
    """The gradlab module of a ``torch.nn.Module`` made of known layers: same names and weights.

    Args:
        module: a container (Sequential, ModuleList, ModuleDict) or a layer. Its mode is kept, and
            what it does not train (``requires_grad``) is not trainable.

    Raises:
        ArgumentError: a layer that gradlab does not have, that has a setting gradlab's has not, or
            forward hooks; it names the first one. Make such a model from gradlab's layers, and
            load its ``state_dict``.
        MissingExtraError: PyTorch is not installed.

    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    >>> from_torch(model)
    Sequential(
      (0): Linear(in_features=2, out_features=3)  # 9 parameters
      (1): ReLU()
    )  # 9 parameters
    """
    if not isinstance(module, torch.nn.Module):
        raise ArgumentError(f"from_torch takes a module of PyTorch, got {type(module)}")
    made = _From().converted("", module)
    _tie(made, module)
    made.name_variables().load_state_dict(module.state_dict())
    variables = made.named_variables()
    for path, value in module.named_parameters():
        variables[path].trainable = value.requires_grad
    twins = dict(module.named_modules(remove_duplicate=False))
    for path, part in made.named_modules().items():
        part.training = twins.get(path, module).training
    return made


class _From:
    """One conversion from PyTorch, which knows what was converted already."""

    def __init__(self) -> None:
        self.modules: dict[int, Module] = {}

    def converted(self, path: str, module: Any) -> Module:
        if id(module) not in self.modules:
            self.modules[id(module)] = self._made(path, module)
        return self.modules[id(module)]

    def _made(self, path: str, module: Any) -> Module:
        if module._forward_hooks or module._forward_pre_hooks:
            raise ArgumentError(f"{_where(path, module)} has forward hooks; remove them")
        for row in CONTAINERS:
            if isinstance(module, row.theirs) and type(module).forward is row.theirs.forward:
                parts = {
                    name: self.converted(f"{path}.{name}" if path else name, part)
                    for name, part in module._modules.items()
                }
                made: Any = row.ours
                return made(parts.values() if made is ModuleList else parts)  # type: ignore[no-any-return]
        for row in LAYERS:
            if type(module) is row.theirs and row.from_torch:
                _check(row, _where(path, module), module)
                return row.from_torch(module, _dtype(module))
        if not type(module).__module__.startswith("torch.nn."):
            raise ArgumentError(
                f"{_where(path, module)} has a forward of its own, which cannot be read: write it "
                "with gradlab's layers under the same names, and load its state_dict()"
            )
        known = {row.theirs.__name__ for row in (*CONTAINERS, *LAYERS)}
        unknown = one_of("layer of PyTorch", type(module).__name__, known)
        raise ArgumentError(f"layer {path}: {unknown}" if path else unknown)


def _where(path: str, module: Any) -> str:
    """What to call a module in a message."""
    kind = type(module).__name__
    return f"layer {path} ({kind})" if path else f"this {kind}"


def _check(row: Layer, where: str, module: Any) -> None:
    """Refuse settings that gradlab's layer does not have."""
    for name, allowed in row.only.items():
        value = getattr(module, name, allowed)
        if value != allowed:
            raise ArgumentError(
                f"{where}: gradlab's {row.ours.__name__} has no {name}={value!r}, only {allowed!r}"
            )


def _dtype(module: Any) -> DType | None:
    """The dtype of a layer's parameters, in which gradlab's has them: half precision in float32."""
    first = next(module.parameters(recurse=True), None)
    if first is None:
        return None
    return DType("float64" if first.dtype == torch.float64 else "float32")


def _tie(made: Module, module: Any) -> None:
    """Share the Variables whose parameters are shared."""
    first: dict[int, str] = {}
    variables = made.named_variables()
    for path, value in module.named_parameters(remove_duplicate=False):
        shared = first.setdefault(id(value), path)
        if shared != path and path in variables:
            *holders, name = path.split(".")
            holder: Any = made
            for part in holders:
                holder = getattr(holder, part)
            if getattr(holder, name) is not variables[shared]:
                setattr(holder, name, variables[shared])
