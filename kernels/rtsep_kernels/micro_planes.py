"""The micro-kernel of planes: one row of bins by some output channels, bins in the lanes.

Dense nets grow by 11, 13 or 17 channels a layer. Such numbers fill no vectors of channels, so here a
vector holds neighbouring bins of one channel, and a tile is any number of channels up to
PLANES_CHANNELS by as many vectors as the registers hold:

          x: nv vectors of bins                 weights [step][channels], one scalar broadcast each
         [x0 | x1]
 w0  -> [ sum 0,0 | sum 0,1 ]                   sum c,i += w[c] * x[i]     one FMA each
 w1  -> [ sum 1,0 | sum 1,1 ]
  ...

A step is one input channel under one tap. Taps and dilations are nothing but places to read from, the
runs: neighbouring channels of one image under one tap.

Real-time safe: it allocates nothing, calls nothing and validates nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from . import vector as v
from .blocking import PLANES_CHANNELS, RUN_FIELDS, WIDTH, planes_vectors
from .vector_epilogue import piecewise_linear


def _strips(
    builder: v.Builder, nv: int, start: v.Value, width: v.Value, emit: Callable[[v.Value], None]
) -> v.Value:
    """Emit strips of nv vectors from bin `start` on while they fit; returns where they end."""
    entry, size = builder.block, v.int64(nv * WIDTH)
    head, body, done = (
        builder.append_basic_block(f"{name}{nv}") for name in ("head", "strip", "done")
    )
    builder.branch(head)
    builder.position_at_end(head)
    at = v.carried(builder, start, entry)
    behind = builder.add(at, size)
    builder.cbranch(builder.icmp_signed("<=", behind, width), body, done)
    builder.position_at_end(body)
    emit(at)
    at.add_incoming(behind, builder.block)
    builder.branch(head)
    builder.position_at_end(done)
    return at


def _emit_row(
    builder: v.Builder,
    channels: int,
    x: v.Value,
    weights: v.Value,
    shifts: v.Value,
    y: v.Value,
    runs: v.Value,
    row: Any,
) -> None:
    """Emit a row of `channels` output channels. Pointers: at the arrays' beginnings; runs: int64."""

    def strip(nv: int, at: v.Value) -> None:
        zero = [
            v.broadcast(builder, builder.load(v.advance(builder, shifts, v.int64(c))), WIDTH)
            for c in range(channels)
        ]
        started = [zero[c] for c in range(channels) for _ in range(nv)]

        def run(index: v.Value, *sums: v.Value) -> list[v.Value]:
            entry = builder.gep(runs, [builder.mul(index, v.int64(RUN_FIELDS))])
            x_at, stride, count, step, ahead = (
                builder.load(builder.gep(entry, [v.int64(field)])) for field in range(RUN_FIELDS)
            )
            a = v.advance(builder, x, builder.add(x_at, at))
            b = v.advance(builder, weights, builder.mul(step, v.int64(channels)))

            def turn(_k: v.Value, a_now: v.Value, b_now: v.Value, *now: v.Value) -> list[v.Value]:
                new = list(now)
                v.prefetch(builder, v.advance(builder, a_now, ahead))
                bins = [
                    v.load(builder, v.advance(builder, a_now, v.int64(i * WIDTH)), WIDTH)
                    for i in range(nv)
                ]
                for c in range(channels):
                    scalar = builder.load(v.advance(builder, b_now, v.int64(c)))
                    factor = v.broadcast(builder, scalar, WIDTH)
                    for i in range(nv):
                        place = c * nv + i
                        new[place] = v.multiply_add(builder, factor, bins[i], new[place])
                return [
                    v.advance(builder, a_now, stride),
                    v.advance(builder, b_now, v.int64(channels)),
                    *new,
                ]

            return v.counted_loop(builder, "channel", count, 1, [a, b, *sums], turn)[2:]

        sums = v.counted_loop(builder, "run", row.runs, 1, started, run)
        slopes = v.broadcast(builder, row.slope, WIDTH)
        for c in range(channels):
            plane = v.advance(builder, y, builder.mul(row.y_stride, v.int64(c)))
            for i in range(nv):
                place = v.advance(builder, plane, builder.add(at, v.int64(i * WIDTH)))
                v.store(builder, piecewise_linear(builder, sums[c * nv + i], slopes), place)

    at = v.int64(0)
    for nv in planes_vectors(channels):
        at = _strips(builder, nv, at, row.width, partial(strip, nv))
    # What is left is less than a vector: the row's last one writes some bins a second time.
    with builder.if_then(builder.icmp_signed("<", at, row.width)):
        strip(1, builder.sub(row.width, v.int64(WIDTH)))


def _make_planes_row() -> Any:
    @intrinsic
    def planes_row(
        typing_context: v.Context,
        x: v.NumbaType,
        weights: v.NumbaType,
        shifts: v.NumbaType,
        y: v.NumbaType,
        runs: v.NumbaType,
        row: v.NumbaType,
    ) -> v.Intrinsic:
        """Flat x, weights and shifts, flat y, runs, PlanesRow: see records.py, docs/kernels.md."""

        def generate(
            context: v.Context, builder: v.Builder, signature: Any, args: tuple[v.Value, ...]
        ) -> v.Value:
            row = v.fields(builder, signature.args[5], args[5])
            places = [v.int64(0), row.weights_at, row.shifts_at, row.y_at]
            pointers = [
                v.pointer(context, builder, kind, array, place)
                for kind, array, place in zip(signature.args, args, places)
            ]
            table = make_array(signature.args[4])(context, builder, args[4]).data
            done = builder.append_basic_block("row.done")
            switch = builder.switch(row.channels, done)
            x, weights, shifts, y = pointers
            for channels in range(1, PLANES_CHANNELS + 1):
                block = builder.append_basic_block(f"channels{channels}")
                switch.add_case(v.int64(channels), block)
                builder.position_at_end(block)
                _emit_row(builder, channels, x, weights, shifts, y, table, row)
                builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return types.void(x, weights, shifts, y, runs, row), generate

    return planes_row


planes_row = _make_planes_row()
