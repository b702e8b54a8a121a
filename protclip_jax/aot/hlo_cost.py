"""What a compiled program costs one device: FLOPs and what it sends, read from the program's text (XLA's HLO).

XLA's own analysis counts the body of a loop once and kernels not at all. Here a loop counts as often as it runs, a kernel by
a formula that the caller gives. FLOPs are those of matrix products: the rest of a transformer is below one per cent.
"""

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator

ITEM_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s16": 2, "u16": 2, "s64": 8, "u64": 8, "f64": 8}
"""Bytes of a number; 4 of every other type."""

SENT = {
    "all-gather": lambda size, group: size * (group - 1) / group,
    "all-reduce": lambda size, group: 2 * size * (group - 1) / group,
    "reduce-scatter": lambda size, group: size * (group - 1),
    "all-to-all": lambda size, group: size * (group - 1) / group,
    "collective-permute": lambda size, group: size,
}
"""Bytes that a device sends in each collective, from the bytes of its result and the devices that take part: those of a ring,
which no algorithm that uses every link once does better than."""

_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = ")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
_ARRAY = re.compile(r"\b([a-z]+\d*(?:e\dm\d\w*)?)\[([\d,]*)\]")
_CALLED = re.compile(r"(?:calls|to_apply|called_computations|branch_computations)=\{?((?:%?[\w.\-]+(?:, )?)+)\}?")

Kernels = Callable[[str, list[tuple[int, ...]]], float]
"""FLOPs of one call of a kernel from the instruction's name and the shapes of its operands."""


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of a program."""

    name: str
    result: str
    """Its type, such as `bf16[8,128]{1,0}`, or several in brackets."""
    operation: str
    arguments: str
    attributes: str


@dataclasses.dataclass
class Cost:
    """Of one run of a program on one device."""

    flops: float = 0.0
    kernel_flops: float = 0.0
    """The part of `flops` that kernels take."""
    bytes_sent: Counter = dataclasses.field(default_factory=Counter)
    """By kind of collective."""
    largest: Counter = dataclasses.field(default_factory=Counter)
    """Bytes of the largest array that a collective of each kind gives."""


def shapes(type_: str) -> list[tuple[str, tuple[int, ...]]]:
    """The (number type, dimensions) of each array in the text of a type."""
    return [(kind, tuple(int(n) for n in dims.split(",") if n)) for kind, dims in _ARRAY.findall(type_)]


def sizes(type_: str) -> list[int]:
    """Bytes of each array in the text of a type."""
    return [math.prod(dims) * ITEM_BYTES.get(kind, 4) for kind, dims in shapes(type_)]


def program_cost(text: str, *, devices: int, kernels: Kernels | None = None) -> Cost:
    """The cost of a program, given the text of the compiled module and the number of devices that it runs on.

    Raises:
      ValueError: how often a loop runs cannot be read, or there is a kernel and no formula.
    """
    computations = dict(_computations(text))
    (entry,) = re.findall(r"^ENTRY %?([\w.\-]+) ", text, re.MULTILINE)
    cost = Cost()
    chains = set()

    def add(computation: str, times: float) -> None:
        table = {instruction.name: instruction for instruction in computations[computation]}

        def operand_shapes(instruction):
            names = re.findall(r"%([\w.\-]+)", instruction.arguments)
            return [shapes(table[name].result)[0][1] for name in names if name in table and shapes(table[name].result)]

        for instruction in computations[computation]:
            operation = instruction.operation.removesuffix("-start")
            if operation == "while":
                condition, body = (
                    re.search(rf"{key}=%?([\w.\-]+)", instruction.attributes)[1] for key in ("condition", "body")
                )
                add(body, times * _trip_count(instruction, computations[condition]))
            elif operation in ("dot", "convolution"):
                result = shapes(instruction.result)[0][1]
                count = _dot_flops if operation == "dot" else _convolution_flops
                cost.flops += times * count(result, operand_shapes(instruction), instruction.attributes)
            elif operation == "custom-call" and "tpu_custom_call" in instruction.attributes:
                if kernels is None:
                    raise ValueError(f"the program has the kernel {instruction.name}; give the formula of its FLOPs.")
                flops = times * kernels(instruction.name, operand_shapes(instruction))
                cost.flops += flops
                cost.kernel_flops += flops
            elif operation in SENT:
                # A collective that is fused with the products around it is written once for each of them, as one chain.
                chain = re.search(r'chain_id="(\d+)"', instruction.attributes)
                if chain is None or (chain[1], operation) not in chains:
                    _add_collective(cost, instruction, operation, times, devices)
                if chain:
                    chains.add((chain[1], operation))
            for called in _CALLED.findall(instruction.attributes) if operation not in SENT else ():
                for name in called.replace("%", "").split(", "):
                    if name in computations:
                        add(name, times)

    add(entry, 1)
    return cost


def _add_collective(cost: Cost, instruction: Instruction, operation: str, times: float, devices: int) -> None:
    arrays = sizes(instruction.result)
    # The result of a start is (operands…, results…).
    if instruction.operation.endswith("-start") and operation != "all-reduce":
        arrays = arrays[len(arrays) // 2 :]
    group = _group_size(instruction.attributes, devices)
    cost.bytes_sent[operation] += times * SENT[operation](sum(arrays), group)
    cost.largest[operation] = max(cost.largest[operation], *arrays)


def _computations(text: str) -> Iterator[tuple[str, list[Instruction]]]:
    name, instructions = None, []
    for line in text.splitlines():
        if name is None:
            if found := _COMPUTATION.match(line):
                name, instructions = found[1], []
        elif line == "}":
            yield name, instructions
            name = None
        # A kernel's attributes may go on over further lines, with nothing in them that counts here.
        elif found := _INSTRUCTION.match(line):
            instructions.append(_parsed(found[1], line[found.end() :]))


def _parsed(name: str, rest: str) -> Instruction:
    """From `type operation(arguments), attributes`."""
    end = _closing(rest) if rest.startswith("(") else rest.index(" ")
    result, (operation, rest) = rest[:end], rest[end:].lstrip().split("(", 1)
    end = _closing("(" + rest) - 2
    return Instruction(name, result, operation, rest[:end], rest[end + 1 :])


def _closing(text: str) -> int:
    """The place after the bracket that closes the one in front."""
    depth = 0
    for position, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return position + 1
    raise ValueError(f"brackets do not close in {text[:80]}")


def _trip_count(loop: Instruction, condition: list[Instruction]) -> int:
    """Of a scan, which counts from 0 while below a constant."""
    if known := re.search(r'known_trip_count":\{"n":"(\d+)"', loop.attributes):
        return int(known[1])
    limits = [int(x.arguments) for x in condition if x.operation == "constant" and x.result.startswith(("s32[]", "s64[]"))]
    if len(limits) != 1:
        raise ValueError(f"how often the loop {loop.name} runs cannot be read from its condition.")
    return limits[0]


def _dot_flops(result: tuple[int, ...], operands: list[tuple[int, ...]], attributes: str) -> float:
    contracting = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", attributes)[1]
    return 2 * math.prod(result) * math.prod(operands[0][int(axis)] for axis in contracting.split(",") if axis)


def _convolution_flops(result: tuple[int, ...], operands: list[tuple[int, ...]], attributes: str) -> float:
    """TPU's compiler writes matrix products as convolutions, batched ones over windows of which most places are empty."""
    image, kernel, output = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", attributes).groups()
    groups = {
        kind: int(found[1]) if (found := re.search(rf"{kind}_group_count=(\d+)", attributes)) else 1
        for kind in ("feature", "batch")
    }
    positions = 1
    for axis in range(sum(label.isdigit() for label in output)):
        positions *= _window_places(
            operands[0][image.index(str(axis))],
            operands[1][kernel.index(str(axis))],
            result[output.index(str(axis))],
            {name: values[axis] for name, values in _window(attributes).items()},
        )
    inputs = operands[0][image.index("f")] / groups["feature"]
    features, batch = result[output.index("f")], operands[0][image.index("b")] / groups["batch"]
    return 2 * inputs * features * batch * positions


def _window(attributes: str) -> dict[str, list[str]]:
    found = re.search(r"window=\{([^}]*)\}", attributes)
    return {name: values.split("x") for name, values in (part.split("=") for part in (found[1] if found else "").split())}


def _window_places(length: int, kernel: int, outputs: int, window: dict[str, str]) -> int:
    """How often a kernel element of one axis meets an element of the image, over all its outputs."""
    stride, dilation, kernel_dilation = (int(window.get(name, 1)) for name in ("stride", "lhs_dilate", "rhs_dilate"))
    before = int(window.get("pad", "0_0").split("_")[0])
    reached = [output * stride + element * kernel_dilation - before for output in range(outputs) for element in range(kernel)]
    return sum(position >= 0 and position % dilation == 0 and position // dilation < length for position in reached)


def _group_size(attributes: str, devices: int) -> int:
    """Devices that exchange among themselves, in the three ways that a program writes it."""
    groups = re.search(r"replica_groups=(\{\{[\d,]*\}|\[\d+,\d+\]|mesh\[[^\]]*\] \{[^}]*\})", attributes)
    if groups is None:
        return devices
    if groups[1].startswith("{{"):
        return groups[1].count(",") + 1
    if groups[1].startswith("["):
        return int(groups[1].strip("[]").split(",")[1])
    axes, taken = groups[1].split("] {")
    lengths = dict(re.findall(r"'(\w+)'=(\d+)", axes))
    return math.prod(int(lengths[axis]) for axis in re.findall(r"'(\w+)'", taken))
