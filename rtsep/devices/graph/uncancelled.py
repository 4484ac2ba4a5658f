"""A callback that cannot be cancelled while it runs, for threads that are ended by cancelling them.

libjack ends the graph's thread with pthread_cancel, PipeWire's as well as jackd's. A thread that is
cancelled while it waits for Python's lock, or holds it, leaves the lock behind for ever, and the whole
program hangs. So the library calls machine code of ours, which has no need of the lock: it forbids
cancelling, calls the Python callback, and allows it again. A cancellation meanwhile waits for that.
"""

from __future__ import annotations

from functools import cache
from typing import Any

# Of Linux's pthread.h.
_DISABLE = 1
_NAME = "rtsep_uncancelled_call"
# The machine code whose address was given away: for as long as the process lives.
_kept: list[Any] = []


@cache
def uncancelled_call() -> int:
    """The address of ``int call(uint32_t samples, void *callback)``.

    It calls ``int callback(uint32_t samples, void *)`` with NULL behind the samples, and returns what
    that returns.
    """
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly(str(_module()))
    module.verify()
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    _kept.append(engine)
    return int(engine.get_function_address(_NAME))


def _module() -> Any:
    from llvmlite import ir

    number, anything = ir.IntType(32), ir.IntType(8).as_pointer()
    kind = ir.FunctionType(number, [number, anything])
    module = ir.Module(name=_NAME)
    set_state = ir.Function(
        module, ir.FunctionType(number, [number, number.as_pointer()]), "pthread_setcancelstate"
    )
    call = ir.Function(module, kind, _NAME)
    samples, address = call.args
    builder = ir.IRBuilder(call.append_basic_block())
    before, unused = builder.alloca(number), builder.alloca(number)
    builder.call(set_state, [ir.Constant(number, _DISABLE), before])
    callback = builder.bitcast(address, kind.as_pointer())
    result = builder.call(callback, [samples, ir.Constant(anything, None)])
    builder.call(set_state, [builder.load(before), unused])
    builder.ret(result)
    return module
