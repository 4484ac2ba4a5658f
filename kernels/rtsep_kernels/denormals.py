"""Denormal numbers off, for one thread: on some processors each one costs a hundred cycles.

Music that fades to silence makes activations that fade to denormals. Flushed to zero they are 300 dB
below anything that is heard.
"""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from . import vector as v
from .jit import kernel

X86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")

# Bits of the SSE control and status register: denormals are zero, flush to zero.
_DAZ_FTZ = 0x8040


@intrinsic
def _flush_on_x86(typing_context: v.Context) -> v.Intrinsic:
    def generate(context: v.Context, builder: v.Builder, signature: Any, args: Any) -> v.Value:
        register = cgutils.alloca_once(builder, v.I32)
        address = builder.bitcast(register, v.I8.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [v.I8.as_pointer()])
        read, write = (
            cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{name}")
            for name in ("stmxcsr", "ldmxcsr")
        )
        builder.call(read, [address])
        flags = builder.or_(builder.load(register), ir.Constant(v.I32, _DAZ_FTZ))
        builder.store(flags, register)
        builder.call(write, [address])
        return context.get_dummy_value()

    return types.void(), generate


if X86:

    @kernel
    def flush_denormals() -> None:
        """From now on, denormals are zero in the calling thread."""
        _flush_on_x86()  # type: ignore[call-arg]  # Numba gives the typing context

else:

    def flush_denormals() -> None:
        """ARM's vector units have no such penalty: nothing to do."""
