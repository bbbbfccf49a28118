"""The charts of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from aebert.models.encoder import MATRIX_NAMES
from aebert.report.figure import (
    BLUE,
    DASHES,
    GREEN,
    GREY,
    INK,
    OKABE_ITO,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    SYMBOLS,
    Chart,
    ReportTable,
    heat_map,
    heat_map_width,
    lay_out,
    matrix_table,
)
from aebert.report.run_data import Position, RunData, final_facts
from aebert.search.run.summary import Sensitivity, Tried

_HOVER = "%{text}<extra></extra>"


def pareto_chart(data: RunData) -> Chart:
    """Score against latency, or against weights kept where no board was named."""
    axis = "latency (ms)" if data.has_latency else "weights kept / all prunable weights"
    figure = go.Figure()
    others = [tried for tried in data.finished if not tried.front]
    front = sorted((tried for tried in data.finished if tried.front), key=lambda tried: data.position(tried).value)
    _points(figure, data, "stopped early", data.lost, GREY, "x-thin-open", 7)
    _points(figure, data, "tried", others, SKY, "circle-open", 7)
    _stairs(figure, data, front)
    _points(figure, data, "Pareto front", front, BLUE, "diamond", 10)
    _points(figure, data, "uniform ratios", data.uniform, ORANGE, "square", 12)
    if data.aimed is not None:
        _points(figure, data, data.aim_words, [data.aimed], RED, "star", 17)
    dense = data.dense_position
    figure.add_scatter(
        name="dense model",
        x=[dense.value],
        y=[data.summary.dense.score],
        mode="markers",
        marker={"color": GREEN, "symbol": "triangle-up", "size": 13, "line": {"color": INK, "width": 1}},
        text=[
            f"dense model<br>score {data.summary.dense.score:.5f}{_fact_words(data.summary.dense.facts)}"
            f"<br>{_where(data, dense)}"
        ],
        hovertemplate=_HOVER,
    )
    limit = data.summary.latency_limit_ms
    if limit is not None:
        figure.add_vline(x=limit, line={"color": INK, "dash": "dot"}, annotation_text="latency budget")
    lay_out(figure, 460, axis, "score")
    return Chart(
        "pareto",
        "Pareto front",
        "Each point is a candidate; up and to the left is better. Diamonds are beaten by no other in score, latency "
        "and size; pale bars are the interval (nine of ten) of those in front/ that are predicted. Squares: the same "
        "ratio everywhere.",
        _latency_source(data),
        figure,
        _candidate_table(data, [*front, *data.uniform]),
    )


def _points(
    figure: go.Figure,
    data: RunData,
    name: str,
    chosen: Sequence[Tried],
    colour: str,
    symbol: str,
    size: int,
) -> None:
    if not chosen:
        return
    places = [data.position(tried) for tried in chosen]
    figure.add_scatter(
        name=name,
        x=[place.value for place in places],
        y=[tried.score for tried in chosen],
        mode="markers",
        marker={
            "color": colour,
            "symbol": symbol,
            "size": size,
            "line": {"color": colour if "open" in symbol else INK, "width": 1},
        },
        text=[_describe(data, tried, place) for tried, place in zip(chosen, places, strict=True)],
        hovertemplate=_HOVER,
    )


def _stairs(figure: go.Figure, data: RunData, front: Sequence[Tried]) -> None:
    """The edge of what is reached in score and latency alone, and intervals, where they do not hide each other."""
    edge: list[tuple[float, float]] = []
    for tried in front:
        if not edge or tried.score > edge[-1][1]:
            edge.append((data.position(tried).value, tried.score))
    figure.add_scatter(
        x=[value for value, _ in edge],
        y=[score for _, score in edge],
        mode="lines",
        line={"color": BLUE, "width": 1.5, "shape": "hv"},
        hoverinfo="skip",
        showlegend=False,
    )
    shown = [(tried.score, data.position(tried)) for tried in front if tried.directory is not None]
    for score, place in shown:
        if place.high > place.low:
            figure.add_scatter(
                x=[place.low, place.high],
                y=[score, score],
                mode="lines",
                line={"color": BLUE, "width": 5},
                opacity=0.25,
                hoverinfo="skip",
                showlegend=False,
            )


def _fact_words(facts: Mapping[str, float]) -> str:
    return "".join(f"<br>{name} {facts[name]:.4f}" for name in ("metric", "loss", "kl") if name in facts)


def _describe(data: RunData, tried: Tried, place: Position) -> str:
    facts = _fact_words(tried.facts)
    refined = ""
    if tried.refined is not None:
        refined = f"<br>refined: score {tried.refined.score:.5f}{_fact_words(tried.refined.facts)}"
    layers = " ".join(f"{ratio:.2f}" for ratio in tried.layer_ratios)
    kind = "uniform, " if tried.uniform else ""
    early = " (stopped early)" if tried.lost else ""
    return (
        f"{kind}trial {tried.trial}, {tried.pattern}{early}<br>score {tried.score:.5f}{facts}{refined}"
        f"<br>ratio {tried.ratio:.4f}<br>{_where(data, place)}<br>per layer {layers}"
    )


def _where(data: RunData, place: Position) -> str:
    if not data.has_latency:
        return f"weights kept {place.value:.2%}"
    return f"{place.value:.4f} ms ({place.source.split(',')[0]})"


def _latency_source(data: RunData) -> str:
    rows = f"Score ({data.score_words}): {data.summary.rows} scoring rows, no fine-tuning (summary.json)."
    if not data.has_latency:
        return f"{rows} Weights kept: counted. No board was named, so nothing is said about latency."
    sources = sorted({data.position(tried).source for tried in data.finished})
    return f"{rows} Latency of one launch: {'; '.join(sources)}."


def _candidate_table(data: RunData, chosen: Sequence[Tried]) -> ReportTable:
    rows = []
    aimed = [] if data.aimed is None else [data.aimed]
    for tried in {tried.trial: tried for tried in [*chosen, data.best, *aimed]}.values():
        place = data.position(tried)
        kind = "best score" if tried == data.best else "uniform" if tried.uniform else "front"
        kind = "chosen" if data.choice is not None and tried == data.aimed else kind
        latency = (f"{place.value:.4f}", f"{place.low:.4f} to {place.high:.4f}") if data.has_latency else ("-", "-")
        rows.append(
            (
                f"{tried.trial}", kind, tried.pattern, tried.directory or "-",
                place.source if data.has_latency else "-", f"{tried.score:.5f}",
                "-" if tried.refined is None else f"{tried.refined.score:.5f}", _metric(final_facts(tried)), *latency,
                f"{tried.ratio:.4f}",
                " ".join(f"{ratio:.2f}" for ratio in tried.layer_ratios),
            )
        )  # fmt: skip
    dense = data.dense_position
    latency = (f"{dense.value:.4f}", f"{dense.low:.4f} to {dense.high:.4f}") if data.has_latency else ("-", "-")
    source = dense.source if data.has_latency else "-"
    own = data.summary.dense
    rows.append(("-", "dense", "-", "-", source, f"{own.score:.5f}", "-", _metric(own.facts), *latency, "0", "0"))
    headers = (
        "Trial", "Kind", "Pattern", "Folder", "Latency from", "Score", "Refined", "Metric", "Latency (ms)",
        "Interval (ms)",
        "Ratio", "Ratio per layer",
    )  # fmt: skip
    return ReportTable(headers, tuple(rows), words=5)


def _metric(facts: Mapping[str, float]) -> str:
    """The task's metric; of a search without labels there is none."""
    return f"{facts['metric']:.4f}" if "metric" in facts else "-"


def progress_chart(data: RunData) -> Chart:
    """Score by trial, and the best so far."""
    figure = go.Figure()
    for name, chosen, colour, symbol in (
        ("trial", [tried for tried in data.finished if not tried.uniform], SKY, "circle"),
        ("stopped early (estimate)", data.lost, GREY, "x"),
        ("uniform ratios", data.uniform, ORANGE, "square"),
    ):
        if chosen:
            figure.add_scatter(
                name=name,
                x=[tried.trial for tried in chosen],
                y=[tried.score for tried in chosen],
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 7 if colour != ORANGE else 11},
                text=[_describe(data, tried, data.position(tried)) for tried in chosen],
                hovertemplate=_HOVER,
            )
    best = data.best_so_far
    first = len(data.summary.tried) - len(best)
    numbers = [tried.trial for tried in data.summary.tried[first:]]
    figure.add_scatter(
        name="best so far",
        x=numbers,
        y=[tried.score for tried in best],
        mode="lines",
        line={"color": RED, "width": 2, "shape": "hv"},
        hovertemplate="after trial %{x}<br>best score so far %{y:.5f}<extra></extra>",
    )
    lay_out(figure, 360, "trial", "score")
    rounds: dict[int, list[Tried]] = {}
    for tried in data.summary.tried:
        rounds.setdefault(tried.round, []).append(tried)
    so_far = dict(zip(numbers, best, strict=True))
    rows = tuple(
        (
            f"{number}", f"{len(chosen)}", f"{sum(tried.lost for tried in chosen)}",
            f"{max((tried.score for tried in chosen if not tried.lost), default=float('nan')):.5f}",
            f"{so_far[chosen[-1].trial].score:.5f}" if chosen[-1].trial in so_far else "-",
        )
        for number, chosen in sorted(rounds.items())
    )  # fmt: skip
    return Chart(
        "progress",
        "Search progress",
        "Score of each trial in the order in which they were proposed, and the best that ran to the end so far, "
        "whatever its latency and size.",
        f"Score ({data.score_words}): {data.summary.rows} scoring rows; trials stopped early are estimates from "
        "fewer (summary.json).",
        figure,
        ReportTable(("Round", "Trials", "Stopped early", "Best of the round", "Best so far"), rows),
    )


def ratio_chart(data: RunData) -> Chart:
    """Ratio per layer x matrix of the best subnet."""
    values = [[layer[name] for name in MATRIX_NAMES] for layer in data.record.matrix_ratios]
    rows = [f"layer {number}" for number in range(len(values))]
    figure = heat_map(values, MATRIX_NAMES, rows, "ratio", "%{y} %{x}<br>ratio %{z:.4f}", highest=1)
    return Chart(
        "ratios",
        "Pruning ratio of the best subnet",
        f"Zero weights / all weights of each matrix; overall {data.record.overall_ratio:.4f}.",
        f"Counted from the zeros of best/ (subnet {data.record.digest[:12]}, trial {data.summary.best}).",
        figure,
        matrix_table("Layer", MATRIX_NAMES, rows, values),
        narrowest=heat_map_width(len(MATRIX_NAMES)),
    )


def sensitivity_charts(data: RunData) -> list[Chart]:
    """One chart per kind of matrix, with a curve for each layer."""
    found = data.sensitivity
    if found is None:
        return []
    if found.fitted_to is None:
        source = "Measured before the search, one matrix pruned at a time and all others dense (the surrogate's table)."
    else:
        source = f"Fitted: additive model of the scores of {found.fitted_to} candidates; no matrix was measured alone."
    kinds = list(dict.fromkeys(names for _, names in found.sites))
    highest = max(max(row) for row in found.drops)
    return [_sensitivity_chart(found, names, number, highest, source) for number, names in enumerate(kinds)]


def _sensitivity_chart(found: Sensitivity, names: tuple[str, ...], number: int, highest: float, source: str) -> Chart:
    figure = go.Figure()
    own = [(layer, found.drops[i]) for i, (layer, each) in enumerate(found.sites) if each == names]
    title = " + ".join(names)
    for layer, drops in own:
        figure.add_scatter(
            name=f"{layer}",
            x=list(found.ratios),
            y=list(drops),
            mode="lines+markers",
            line={"color": OKABE_ITO[layer % 6], "dash": DASHES[layer % len(DASHES)], "width": 1.5},
            marker={"symbol": SYMBOLS[layer % len(SYMBOLS)], "size": 6},
            hovertemplate=f"{title}, layer {layer}<br>ratio %{{x:.3f}}<br>score falls by %{{y:.5f}}<extra></extra>",
        )
    lay_out(figure, 300, "ratio", "score falls by")
    figure.update_layout(legend={"title": {"text": "layer "}})
    low = min(0.0, *(min(drops) for _, drops in own))
    figure.update_yaxes(range=[low - 0.03 * highest, 1.05 * highest or 1.0])
    return Chart(
        f"sensitivity-{number}",
        f"Sensitivity: {title}",
        f"How much the score falls when this matrix of one layer is pruned; pattern {found.pattern}, all on one scale.",
        source,
        figure,
        ReportTable(
            ("Ratio", *(f"layer {layer}" for layer, _ in own)),
            tuple(
                (f"{ratio:.3f}", *(f"{drops[place]:.5f}" for _, drops in own))
                for place, ratio in enumerate(found.ratios)
            ),
        ),
        group="sensitivity",
    )


def prediction_chart(data: RunData) -> Chart | None:
    """Predicted against measured latency; None without measurements."""
    pairs = [(tried, tried.before, tried.now, tried.measured) for tried in data.measured]
    known = [
        (tried, before, now, measured)
        for tried, before, now, measured in pairs
        if before is not None and now is not None and measured is not None
    ]
    if not known:
        return None
    figure = go.Figure()
    measured_ms = [measured.ms for _, _, _, measured in known]
    ends = [0.98 * min(measured_ms), 1.02 * max(measured_ms)]
    figure.add_scatter(
        name="exact", x=ends, y=ends, mode="lines", line={"color": INK, "dash": "dot", "width": 1}, hoverinfo="skip"
    )
    for name, predictions, colour, symbol in (
        ("before any measurement", [before for _, before, _, _ in known], PURPLE, "circle-open"),
        ("as the model predicts now", [now for _, _, now, _ in known], BLUE, "diamond"),
    ):
        figure.add_scatter(
            name=name,
            x=measured_ms,
            y=[each.mean for each in predictions],
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 10},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [each.high - each.mean for each in predictions],
                "arrayminus": [each.mean - each.low for each in predictions],
                "color": colour,
                "thickness": 1.5,
            },
            text=[
                f"trial {tried.trial}, {name}<br>predicted {each.mean:.4f} ms ({each.low:.4f} to {each.high:.4f})"
                f"<br>measured {measured.ms:.4f} ms ({measured.source}, {measured.device})"
                f"<br>error {each.mean / measured.ms - 1:+.2%}"
                for (tried, _, _, measured), each in zip(known, predictions, strict=True)
            ],
            hovertemplate=_HOVER,
        )
    lay_out(figure, 420, "measured (ms)", "predicted (ms)")
    rows = tuple(
        (
            f"{tried.trial}", measured.device, measured.source, f"{measured.ms:.4f}",
            f"{before.mean:.4f} ({before.low:.4f} to {before.high:.4f})", f"{before.mean / measured.ms - 1:+.2%}",
            f"{now.mean:.4f} ({now.low:.4f} to {now.high:.4f})", f"{now.mean / measured.ms - 1:+.2%}",
        )
        for tried, before, now, measured in known
    )  # fmt: skip
    headers = (
        "Trial",
        "Device",
        "Source",
        "Measured (ms)",
        "Predicted before (ms)",
        "Error",
        "Predicted now (ms)",
        "Error",
    )
    devices = ", ".join(sorted({f"{measured.device} ({measured.source})" for _, _, _, measured in known}))
    return Chart(
        "prediction",
        "Predicted against measured latency",
        "Each measured candidate twice: by the cost model as it was before the search, and as it is after it was "
        "fitted to these very measurements. Bars hold nine of ten.",
        f"Measured on {devices}. Before: {known[0][1].source}; now: {known[0][2].source}.",
        figure,
        ReportTable(headers, rows, words=3),
    )
