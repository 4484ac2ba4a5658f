"""The kernels of pairs for 64-bit ARM, compiled on any processor: what instructions they become.

scripts/arm64.py runs the kernels' tests in an emulator; here only the assembly is read.
"""

import os
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.any_kernel_set

# In a process of its own: the width and the products are one choice for the whole process.
EMIT = """
import llvmlite.binding as llvm
from llvmlite import ir
from rtsep_kernels import products, vector
from rtsep_kernels.blocking import TILE_HEIGHTS
from rtsep_kernels.micro import multiply_accumulate

vector.DOT = "neon"
module = ir.Module()
address = vector.F32.as_pointer()
kind = ir.FunctionType(ir.VoidType(), [address, vector.I64, vector.I64, address, address])
function = ir.Function(module, kind, "tile")
builder = ir.IRBuilder(function.append_basic_block())
a, stride, steps, b, out = function.args
zeros = [[vector.constant(0.0, 4)] * 2 for _ in range(TILE_HEIGHTS[0])]
strides = stride, vector.int64(1)
sums, _ = multiply_accumulate(builder, a, strides, steps, b, zeros, (True, True))
for p, row in enumerate(sums):
    products.store(builder, True, row, vector.advance(builder, out, vector.int64(4 * p)))
builder.ret_void()

llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
target = llvm.Target.from_triple("aarch64-unknown-linux-gnu")
machine = target.create_target_machine(cpu="{cpu}", features="{features}", opt=3)
parsed = llvm.parse_assembly(str(module))
parsed.triple = "aarch64-unknown-linux-gnu"
print(TILE_HEIGHTS[0], machine.emit_assembly(parsed), sep="\\n")
"""
PROCESSORS = [("neoverse-v1", ""), ("apple-m2", ""), ("generic", "+bf16")]


@pytest.mark.parametrize(("cpu", "features"), PROCESSORS)
def test_a_tile_of_pairs_is_bfdot_and_nothing_is_spilled(cpu, features):
    program = EMIT.replace("{cpu}", cpu).replace("{features}", features)
    environment = {**os.environ, "RTSEP_KERNELS": "vector4"}
    environment.pop("RTSEP_DOT", None)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    height, _, assembly = done.stdout.partition("\n")
    instructions = re.findall(r"^\t([a-z]\w*)(?:\t| |$)(.*)$", assembly, re.MULTILINE)
    names = [name for name, _ in instructions]
    # Per turn of the loop: two steps of so many pixels by two vectors.
    assert names.count("bfdot") == 2 * int(height) * 2
    assert "bfcvtn" in names and "bfcvtn2" in names
    assert not {"bl", "fmla", "fadd", "fmul"} & set(names)
    assert not any("[sp" in operands for _, operands in instructions)
