"""What would synchronise with the device, counted without one."""

from __future__ import annotations

from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

_OPERATIONS = ("_local_scalar_dense", "equal", "nonzero", "masked_select", "_unique2")
_METHODS = ("tolist", "numpy", "__array__")


class Synchronisations(TorchDispatchMode):
    """Counts what would: a value that Python looks at, and a shape that depends on values."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.methods = _Methods(self.seen)

    def __enter__(self):
        self.methods.__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self.methods.__exit__(*error)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket.__name__ in _OPERATIONS:
            self.seen.append(str(function))
        return function(*args, **(kwargs or {}))


class _Methods(TorchFunctionMode):
    """Those that copy all the values at once, and are no operation of torch's where there is nothing to copy."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if getattr(function, "__name__", "") in _METHODS:
            self.seen.append(function.__name__)
        return function(*args, **(kwargs or {}))
