"""RAMs have the ports that a piece needs at once, whatever the other pieces do to them."""

from __future__ import annotations

from codegen.rtl.names import Names
from codegen.rtl.ram_ports import RamPorts
from codegen.rtl.texts import ReadPort, Write


def test_pieces_share_the_ports_and_one_piece_has_as_many_as_it_needs() -> None:
    ports = RamPorts(Names().new)
    assert ports.read("ram", "loop a", "a_on", "x") == "ram_read"
    assert ports.read("ram", "loop b", "b_on", "y") == "ram_read"
    assert ports.read("ram", "loop b", "b_on", "z") == "ram_read_n2"
    assert ports.read("other", "loop b", "b_on", "z") == "other_read"
    assert ports.read_ports("ram") == [ReadPort("ram_read", "a_on ? x : y"), ReadPort("ram_read_n2", "z")]
    assert ports.read_ports("nothing") == []


def test_writes_of_two_pieces_are_one_port() -> None:
    ports = RamPorts(Names().new)
    ports.write("ram", "loop a", Write("a_on", "x", ((7, 0, "p"),)))
    ports.write("ram", "loop b", Write("b_on", "y", ((7, 0, "q"),)))
    assert ports.write_ports("ram") == [Write("a_on | b_on", "a_on ? x : y", ((7, 0, "a_on ? p : q"),))]


def test_parts_of_a_row_are_written_by_those_that_have_them() -> None:
    ports = RamPorts(Names().new)
    ports.write("ram", "loop a", Write("a_on", "x", ((7, 0, "p"), (15, 8, "r"))))
    ports.write("ram", "loop b", Write("b_on", "y", ((7, 0, "q"),)))
    address = "a_on ? x : y"
    assert ports.write_ports("ram") == [
        Write("a_on | b_on", address, ((7, 0, "a_on ? p : q"),)),
        Write("a_on", address, ((15, 8, "r"),)),
    ]


def test_parts_that_overlap_stay_apart() -> None:
    ports = RamPorts(Names().new)
    first, second = Write("a_on", "x", ((7, 0, "p"),)), Write("b_on", "y", ((11, 4, "q"),))
    ports.write("ram", "loop a", first)
    ports.write("ram", "loop b", second)
    assert ports.write_ports("ram") == [first, second]
