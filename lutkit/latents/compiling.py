"""A module compiled by torch, and one line where that cannot be.

Owns torch.compile. It needs a compiler on the machine: one of C++ for CPUs, one of C for cards.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from lutkit.errors import VaeError
from lutkit.nn.memory import first_line, is_out_of_memory


def compiled(work: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The same function, compiled the first time that it meets a shape, each shape by itself.

    Args:
        work: of one tensor.
    Returns:
        Raises VaeError where it cannot be compiled; what `work` itself raises comes through.
    """
    fast = torch.compile(work, dynamic=False)

    def call(values: Tensor) -> Tensor:
        # torch's own errors of compiling are no part of its public names.
        from torch._dynamo.exc import TorchDynamoException

        try:
            return fast(values)
        except TorchDynamoException as error:
            cause = cast("BaseException", getattr(error, "inner_exception", error))
            if is_out_of_memory(cause):
                raise cause from None
            raise _not_compiled(cause) from None

    return call


def _not_compiled(error: BaseException) -> VaeError:
    name = type(error).__name__
    missing = None
    if name == "InvalidCxxCompiler":
        missing = "C++", "g++", "CXX"
    elif "Failed to find C compiler" in str(error):
        missing = "C", "gcc", "CC"
    if missing:
        language, package, variable = missing
        install = f"install one (on Debian and Ubuntu `apt install {package}`)"
        what = f"--compile needs a {language} compiler, and none is found"
        return VaeError(what, remedy=f"{install}, name it in {variable}, or leave out --compile")
    what = f"the encoder cannot be compiled ({name}: {first_line(error)})"
    return VaeError(what, remedy="leave out --compile")
