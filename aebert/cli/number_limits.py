"""What a number on the command line may be at most, where its option does not say."""

from __future__ import annotations

import math

import click

# What the kernel's scalars, NumPy's index of most platforms and SQL's INTEGER hold.
LARGEST_INTEGER = (1 << 31) - 1
# Beyond any ratio, length of time, clock or weight that means something; its square is still a float32.
LARGEST_REAL = 1e12


def limit_number(option: click.Option) -> None:
    """Makes ``option`` refuse numbers that no sense can be made of, in one line; other options are left alone."""
    if isinstance(option.type, click.types.IntParamType | click.types.FloatParamType) and option.callback is None:
        option.callback = _check


def _check(ctx: click.Context, parameter: click.Parameter, value: object) -> object:
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, int) and abs(number) > LARGEST_INTEGER:
            raise click.BadParameter(f"more than {LARGEST_INTEGER} either way.", ctx, parameter)
        if isinstance(number, float) and not (math.isfinite(number) and abs(number) <= LARGEST_REAL):
            raise click.BadParameter(f"not a number of at most {LARGEST_REAL:g} either way.", ctx, parameter)
    return value
