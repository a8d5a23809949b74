"""What the torch modules of the losses share."""

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from drocl.losses._options import Options, positive
from drocl.losses.diagnostics import Diagnostics
from drocl.losses.temperature import Temperature

PER_CALL = ("labels", "queue", "negatives", "positives")


class ContrastiveLoss(nn.Module):
    """A loss of the family as a torch module: parameters once, `loss(z1, z2)` every step.

    Parameters are those of the function of the same name, and the keyword arguments of `drocl.losses.Common`. `labels`, `queue`,
    `negatives` and `positives` may also be given with each call. `temperature` may be a number, a tensor, or a `Temperature`
    (learnable). With `diagnostics=True` the call still returns the loss alone, and `last` holds the `Diagnostics`.
    """

    function: ClassVar[Callable[..., Any]]
    check: ClassVar[Callable[..., Any] | None] = None  # refuses parameters that are not allowed
    last: Diagnostics | None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__()
        signature = inspect.signature(type(self).function)
        own = [p for name, p in signature.parameters.items() if name not in ("z1", "z2") and p.default is not p.empty]
        rest = [p for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD]
        given = signature.replace(parameters=own + rest).bind(*args, **options)
        given.apply_defaults()
        values = dict(given.arguments)
        common = values.pop("common", {})
        self.defaults(values, common)
        # a wrong parameter or option is refused here, not at the first step
        Options.read(common)
        if "temperature" in values:
            values["temperature"] = self._read_temperature(values["temperature"], own)
        check = type(self).check
        if check is not None:
            check(**{name: values[name] for name in inspect.signature(check).parameters})
        self.last = None
        self.options = {**values, **common}
        for name in ("temperature", "queue"):  # what is learned, stored or moved belongs to the module
            part = self.options.get(name)
            if isinstance(part, nn.Module):
                self.add_module(name, part)
            elif isinstance(part, nn.Parameter):
                self.register_parameter(name, part)
            elif isinstance(part, Tensor):
                self.register_buffer(name, part)
            else:
                continue
            del self.options[name]

    @classmethod
    def defaults(cls, values: dict[str, Any], common: dict[str, Any]) -> None:
        """Fill in options that follow from the parameters; each loss has its own."""

    @staticmethod
    def _read_temperature(given: Any, own: list[inspect.Parameter]) -> Any:
        if isinstance(given, Tensor | Temperature):
            return given
        if isinstance(given, nn.Module):
            raise ValueError(f"temperature must be a number, a tensor or a Temperature, got {type(given).__name__}")
        if given is None and any(p.name == "temperature" and p.default is None for p in own):
            return given
        if isinstance(given, list | tuple):
            return torch.as_tensor(given, dtype=torch.float64)
        return positive("temperature", given)

    def forward(self, z1: Tensor, z2: Tensor, *args: Any, **given: Any) -> Tensor:
        """Loss of two views (B, d); labels (B,) may follow."""
        if len(args) > 1:
            raise TypeError(f"{type(self).__name__} takes z1, z2 and labels, got {2 + len(args)} arguments")
        if args:
            given["labels"] = args[0]
        unknown = sorted(set(given) - set(PER_CALL))
        if unknown:
            raise TypeError(f"{unknown[0]!r} is given to the module, not to its call; a call takes {', '.join(PER_CALL)}")
        held = {name: getattr(self, name) for name in ("temperature", "queue") if hasattr(self, name)}
        options = {**self.options, **held, **{key: value for key, value in given.items() if value is not None}}
        temperature = options.get("temperature")
        if isinstance(temperature, Temperature):
            options["temperature"] = temperature()
        found = type(self).function(z1, z2, **options)
        if isinstance(found, tuple):
            loss, self.last = found
            return loss  # type: ignore[no-any-return]
        return found  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """Parameters, for print."""
        plain = {k: v for k, v in self.options.items() if not isinstance(v, nn.Module | Tensor) and v is not None}
        return ", ".join(f"{key}={value!r}" for key, value in plain.items())
