"""What is undone of LLVM's work before a function is read: chosen addresses, ways that are never taken."""

from __future__ import annotations

from codegen.schedule.frontend.chosen_addresses import without_chosen_addresses
from codegen.schedule.frontend.ir import BasicBlock, Instruction, IrFunction
from codegen.schedule.frontend.unreachable import without_unreachable


def _br(*labels: str) -> Instruction:
    return Instruction("br", operands=("%c",) if len(labels) > 1 else (), labels=labels)


def _function(**blocks: tuple[Instruction, ...]) -> IrFunction:
    return IrFunction("f", (), {label: BasicBlock(label, instructions) for label, instructions in blocks.items()})


def test_a_load_through_a_phi_is_a_phi_of_loads() -> None:
    phi = Instruction("phi", "%address", 64, ("%p", "%q"), 64, labels=("left", "right"))
    load = Instruction("load", "%value", 8, ("%address",), 8)
    found = without_chosen_addresses(
        _function(left=(_br("end"),), right=(_br("end"),), end=(phi, load, Instruction("ret")))
    )
    assert [each.operands for each in found.blocks["left"].instructions[:-1]] == [("%p",)]
    assert [each.operands for each in found.blocks["right"].instructions[:-1]] == [("%q",)]
    joined, end = found.blocks["end"].instructions
    assert (joined.opcode, joined.result, joined.bits, joined.labels) == ("phi", "%value", 8, ("left", "right"))
    assert end.opcode == "ret"


def test_a_load_through_a_select_is_a_select_of_loads_also_behind_an_offset() -> None:
    select = Instruction("select", "%address", 64, ("%c", "%p", "%q"), 64)
    offset = Instruction("getelementptr", "%next", 64, ("%address",), 64, offset=4)
    load = Instruction("load", "%value", 8, ("%next",), 8)
    found = without_chosen_addresses(_function(only=(select, offset, load, Instruction("ret"))))
    instructions = found.blocks["only"].instructions
    assert [each.opcode for each in instructions] == ["getelementptr"] * 2 + ["load"] * 2 + ["select", "ret"]
    assert instructions[4].operands == ("%c", instructions[2].result, instructions[3].result)
    assert instructions[0].operands == ("%p",)


def test_a_store_through_a_select_leaves_the_other_place_as_it_is() -> None:
    select = Instruction("select", "%address", 64, ("%c", "%p", "%q"), 64)
    store = Instruction("store", "", 0, ("%v", "%address"), 8)
    found = without_chosen_addresses(_function(only=(select, store, Instruction("ret"))))
    memory = {"%p": "old p", "%q": "old q"}
    for condition, expected in ((True, {"%p": "v", "%q": "old q"}), (False, {"%p": "old p", "%q": "v"})):
        assert _run(found, dict(memory), condition) == expected


def _run(function: IrFunction, memory: dict[str, str], condition: bool) -> dict[str, str]:
    values: dict[str, str] = {"%v": "v"}
    for each in function.blocks["only"].instructions:
        match each.opcode:
            case "load":
                values[each.result] = memory[str(each.operands[0])]
            case "select":
                values[each.result] = values[str(each.operands[1 if condition else 2])]
            case "store":
                memory[str(each.operands[1])] = values[str(each.operands[0])]
    return memory


def test_a_default_that_leads_nowhere_is_the_last_case() -> None:
    switch = Instruction("switch", operands=("%x",), operand_bits=2, labels=("dead", "a", "b"), cases=(0, 1))
    found = without_unreachable(
        _function(start=(switch,), dead=(Instruction("unreachable"),), a=(_br("end"),), b=(_br("end"),))
    )
    assert "dead" not in found.blocks
    assert found.blocks["start"].branch.labels == ("b", "a")
    assert found.blocks["start"].branch.cases == (0,)
