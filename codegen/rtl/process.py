"""One process of the kernel -> the records of one module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from aebert.support.errors import AebertError
from codegen.rtl.burst import Burst, find_burst
from codegen.rtl.edges import Edges
from codegen.rtl.lane_modules import move_lanes
from codegen.rtl.lanes import Lanes, find_lanes
from codegen.rtl.names import identifier
from codegen.rtl.nodes import AccessKind, AccessSite, Kind, RtlNode, ready_of, stage_text
from codegen.rtl.piece_reader import Place, Places, places_of
from codegen.rtl.pipeline import Pipeline, read_pipeline, write_stage
from codegen.rtl.ram_ports import RamPorts
from codegen.rtl.regions import regions
from codegen.rtl.scope import Ram, Scope
from codegen.rtl.straight import Straight, place_straight, read_straight
from codegen.rtl.texts import (
    Assignment,
    PieceText,
    PipelineText,
    PortText,
    ProcessText,
    RamText,
    RegisterText,
    StreamUse,
    Table,
    Wire,
    Write,
)
from codegen.rtl.timing import LoopTiming
from codegen.schedule.frontend.kernel import SourceProcess

_STYLES = {"bram": "block", "uram": "ultra", "lutram": "distributed", "": "auto"}


@dataclass(frozen=True)
class _Enabled:
    """An access of ``piece``; ``name``: of the wire that says when it takes place; ``held`` as in `stage_text`."""

    site: AccessSite
    name: str
    piece: str
    held: bool


@dataclass
class _ProcessBuilder:
    source: SourceProcess
    timings: tuple[LoopTiming, ...]
    source_file: str
    scope: Scope = field(init=False)
    straights: dict[str, Straight] = field(default_factory=dict)
    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    bursts: dict[str, Burst] = field(default_factory=dict)
    enables: list[_Enabled] = field(default_factory=list)
    rams: RamPorts = field(init=False)
    updates: list[Assignment] = field(default_factory=list)

    def text(self) -> ProcessText:
        self.scope = Scope(self.source)
        self.rams = RamPorts(self.scope.names.new)
        self._read()
        edges = Edges(self.scope, self.straights, self.pipelines, self.bursts, stage_text)
        states = edges.states()
        pieces = [self._straight_text(each) for each in self.straights.values()]
        pieces += [self._pipeline_text(each) for each in self.pipelines.values()]
        pieces += [self._burst_text(self.pipelines[header], burst) for header, burst in self.bursts.items()]
        streams, ports = self._uses()
        registers = [RegisterText(each.bits, each.name) for each in self.scope.kept.values()]
        registers += [RegisterText(each.bits, each.name) for each in self.scope.files.values()]
        registers += [RegisterText(each.bits, each.name) for p in self.pipelines.values() for each in p.phis.values()]
        parameters = [
            RegisterText(32, self.scope.arguments[name]) for name, bits in self.scope.function.parameters if bits == 32
        ]
        found = ProcessText(
            name=identifier(self.source.process.name),
            source_name=self.source.process.name,
            source=self.source_file,
            parameters=tuple(self.scope.arguments.values()),
            arguments=parameters,
            streams=streams,
            ports=ports,
            states=states,
            registers=registers,
            pieces=pieces,
            banks=self._banks(),
            tables=[
                Table(rom.name, rom.bits, tuple(f"{rom.bits}'h{value:x}" for value in rom.values))
                for rom in self.scope.roms.values()
            ],
            updates=self.updates,
        )
        move_lanes(found, list(self._lanes(pieces)))
        return found

    def _lanes(self, pieces: Sequence[PieceText]) -> Iterator[tuple[PieceText, Lanes]]:
        """By now every node has the registers behind it that anything reads."""
        texts = {each.pipeline.name: each for each in pieces if each.pipeline is not None}
        for pipeline in self.pipelines.values():
            for lanes in find_lanes(pipeline.nodes, pipeline.storages()):
                yield texts[identifier(pipeline.name)], lanes

    def _read(self) -> None:
        inside: set[str] = set()
        for iteration, timing, read in zip(self.source.iterations, self.timings, self.source.read, strict=True):
            if timing.pipelined:
                places = places_of(read.registers, read.accesses, timing.place)
                found = read_pipeline(self.scope, timing.label, iteration, timing.interval, places)
                self.pipelines[iteration.loop.header] = found
                inside |= iteration.loop.blocks
        headers = {iteration.loop.header for iteration in self.source.iterations}
        for region in regions(self.scope.function, set(self.scope.function.blocks) - inside, headers):
            self.straights[region.first] = read_straight(self.scope, region, self._places(region.first))
        for header, pipeline in self.pipelines.items():
            if (burst := find_burst(self.scope, pipeline)) is not None:
                self.bursts[header] = burst
        for each in self.straights.values():
            place_straight(each)

    def _places(self, label: str) -> Places:
        for iteration, timing, read in zip(self.source.iterations, self.timings, self.source.read, strict=True):
            if not timing.pipelined and label in iteration.own_blocks:
                return places_of(read.registers, read.accesses, timing.place)
        return lambda _register, _position: Place()

    # Texts of pieces.

    def _straight_text(self, straight: Straight) -> PieceText:
        label = straight.label
        text = PieceText(f"block {label}", "")

        def active(stage: int) -> str:
            return f"(state == {state_name(label, stage)})"

        self._enable(text, straight.reader.builder.piece.sites, active, held=True)
        for name, register in self.scope.kept.items():
            if name in straight.reader.known and not self._is_phi(name):
                ref = straight.reader.known[name]
                stage = ready_of(ref)
                self.updates.append(Assignment(register.name, stage_text(ref, stage, held=True), active(stage)))
        for key, ref in straight.reader.arrays.written.items():
            register = self.scope.files[key]
            stage = straight.last_stage
            self.updates.append(Assignment(register.name, stage_text(ref, stage, held=True), active(stage)))
        self._nodes(text, straight.nodes, active, held=True)
        for node in straight.nodes:
            if node.delays:
                text.registers.append(RegisterText(node.bits, f"{node.name}_h"))
                text.assignments.append(Assignment(f"{node.name}_h", node.name, active(node.value_stage)))
        return text

    def _is_phi(self, name: str) -> bool:
        return any(name == phi.result for straight in self.straights.values() for phi in straight.phis)

    def _pipeline_text(self, pipeline: Pipeline) -> PieceText:
        name = identifier(pipeline.name)
        text = PieceText(f"loop {pipeline.name}", f"II {pipeline.interval}, {pipeline.depth} stages")
        e = pipeline.exit_stage
        exit_text = stage_text(pipeline.exit, e)

        def active(stage: int) -> str:
            gone = f" & ~{name}_exit" if pipeline.tests_first and stage == e else ""
            return f"({name}_valid[{stage}]{gone})"

        self._enable(text, pipeline.sites, active, held=False)
        for each in pipeline.carried:
            stage = write_stage(pipeline, each)
            condition = active(stage) if each.gated else f"{name}_valid[{stage}]"
            self.updates.append(Assignment(each.register, stage_text(each.following, stage), condition))
        for register_name, register in self.scope.kept.items():
            if register_name in pipeline.reader.known:
                value = self._left_behind(pipeline, register_name, register.name)
                text.wires.append(Wire(register.bits, f"{register.name}_next", value, ""))
                self.updates.append(Assignment(register.name, f"{register.name}_next", f"{name}_running"))
        late = pipeline.interval - 1
        text.pipeline = PipelineText(
            name, f"S_{name}", pipeline.depth, pipeline.interval, e, exit_text,
            stage_text(pipeline.exit, late) if late > e else exit_text, pipeline.tests_first,
        )  # fmt: skip
        kept = text.wires
        text.wires = []
        self._nodes(text, pipeline.nodes, lambda _: f"{name}_running", held=False)
        text.wires += kept
        for node in pipeline.nodes:
            before = node.name
            for delay in range(1, node.delays + 1):
                text.registers.append(RegisterText(node.bits, f"{node.name}_d{delay}"))
                text.assignments.append(Assignment(f"{node.name}_d{delay}", before))
                before = f"{node.name}_d{delay}"
        return text

    def _left_behind(self, pipeline: Pipeline, name: str, register: str) -> str:
        """What ``register`` holds of ``name`` for those behind the loop, at the end of this cycle."""
        valid = f"{identifier(pipeline.name)}_valid"
        ref = pipeline.reader.known[name]
        stage = max(ready_of(ref), pipeline.exit_stage)
        if not pipeline.tests_first or stage == pipeline.exit_stage:
            return f"{valid}[{stage}] ? {stage_text(ref, stage)} : {register}"
        carried = next((each for each in pipeline.carried if each.load is ref), None)
        if carried is None:
            raise AebertError(f"{pipeline.name}: {name} is used behind the loop and known too late")
        # The iteration that leaves has no such stage: it finds what the one before it left.
        stage = write_stage(pipeline, carried)
        return f"{valid}[{stage}] ? {stage_text(carried.following, stage)} : {carried.register}"

    def _burst_text(self, pipeline: Pipeline, burst: Burst) -> PieceText:
        text = PieceText(f"request of {burst.port}", "")
        active = f"(state == {request_state(pipeline.name)})"
        self._nodes(text, burst.reader.builder.piece.nodes, lambda _: active, held=True)
        return text

    def _nodes(self, text: PieceText, nodes: Sequence[RtlNode], active: Callable[[int], str], *, held: bool) -> None:
        enabled = {each.site.node: each.site for each in self.enables}
        for node in nodes:
            if node in enabled:
                expression = _site_value(enabled[node])
                if expression:
                    text.wires.append(Wire(node.bits, node.name, expression, node.line))
                continue
            expression = node.text([stage_text(each, node.stage, held=held) for each in node.operands])
            if node.ram:
                register = self.rams.read(node.ram, text.title, active(node.stage), expression)
                text.wires.append(Wire(node.bits, node.name, register, node.line))
            elif node.kind is Kind.REGISTERED:
                text.registers.append(RegisterText(node.bits, node.name, node.line))
                text.assignments.append(Assignment(node.name, expression))
            else:
                text.wires.append(Wire(node.bits, node.name, expression, node.line))

    def _enable(
        self, text: PieceText, sites: Sequence[AccessSite], active: Callable[[int], str], *, held: bool
    ) -> None:
        for site in sites:
            condition = stage_text(site.condition, site.node.stage, held=held)
            enable = active(site.node.stage) if condition == "1'd1" else f"{active(site.node.stage)} & {condition}"
            name = f"{site.node.name}_on"
            for operand in site.node.operands[1:]:
                stage_text(operand, site.node.stage, held=held)
            self.enables.append(_Enabled(site, name, text.title, held))
            text.wires.append(Wire(1, name, enable, site.node.line))

    # What the process touches.

    def _data(self, enabled: _Enabled) -> list[str]:
        node = enabled.site.node
        return [stage_text(each, node.stage, held=enabled.held) for each in node.operands[1:]]

    def _uses(self) -> tuple[list[StreamUse], list[PortText]]:
        streams: dict[str, StreamUse] = {}
        ports: dict[str, PortText] = {}
        port_names = {burst.port for burst in self.bursts.values()}
        for storage, used in self.scope.streams.items():
            bits = max(used.values())
            if storage in port_names:
                ports[storage] = PortText(storage, bits, "write" in used)
            streams[storage] = StreamUse(storage, bits, "write" not in used and "full" not in used)
        ends = {AccessKind.READ: "valid", AccessKind.WRITE: "ready"}
        for each in self.enables:
            site, enable = each.site, each.name
            if site.access in ends:
                streams[site.storage].waits.append(f"({enable} & ~{site.storage}_{ends[site.access]})")
            if site.access is AccessKind.READ:
                streams[site.storage].takes.append(enable)
            elif site.access is AccessKind.POLL:
                streams[site.storage].takes.append(f"{enable} & {site.storage}_valid")
            elif site.access is AccessKind.WRITE:
                streams[site.storage].gives.append((enable, self._data(each)[0]))
        for header, burst in self.bursts.items():
            state = request_state(self.pipelines[header].name)
            first, words = (stage_text(each, 0) for each in (burst.first, burst.words))
            ports[burst.port].requests.append((state, first, words))
        return list(streams.values()), list(ports.values())

    def _banks(self) -> list[RamText]:
        for each in self.enables:
            if each.site.access is AccessKind.STORE:
                self._store(each)
        return [
            RamText(
                name, memory.bits, memory.rows, _style(memory), base.startswith("@"),
                self.rams.read_ports(name), self.rams.write_ports(name),
            )
            for base, memory in self.scope.memories.items()
            for name in map(memory.bank_name, range(memory.banks))
        ]  # fmt: skip

    def _store(self, enabled: _Enabled) -> None:
        site = enabled.site
        memory = self.scope.memories[site.storage]
        address, *rest = self._data(enabled)
        chosen = "" if site.bank is not None else rest.pop(0)
        parts = tuple((low + bits - 1, low, text) for (low, bits), text in zip(site.fields, rest, strict=True))
        for number in range(memory.banks):
            if site.bank in (None, number):
                meant = f"({enabled.name} & ({chosen} == {number}))" if chosen else enabled.name
                self.rams.write(memory.bank_name(number), enabled.piece, Write(meant, address, parts))


def _style(memory: Ram) -> str:
    mark = memory.array.mark
    return _STYLES.get("" if mark is None else mark.primitive, "auto")


def request_state(label: str) -> str:
    return f"S_{identifier(label)}_request"


def _site_value(site: AccessSite) -> str:
    match site.access:
        case AccessKind.READ:
            return f"{site.storage}_data"
        case AccessKind.POLL:
            return f"{{{site.storage}_valid, {site.storage}_data}}"
        case AccessKind.EMPTY:
            return f"~{site.storage}_valid"
        case AccessKind.FULL:
            return f"~{site.storage}_ready"
        case _:
            return ""


def state_name(label: str, stage: int) -> str:
    return f"S_{identifier(label)}_{stage}"


def process_text(source: SourceProcess, timings: tuple[LoopTiming, ...], source_file: str) -> ProcessText:
    """Raises AebertError for C++ that has no form here, naming the place."""
    return _ProcessBuilder(source, timings, source_file).text()
