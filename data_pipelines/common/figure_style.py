"""The style of every figure; the Okabe–Ito colours are safe for colour-blind readers."""

BLUE, VERMILION, GREEN, PURPLE, GREY, INK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#8C8C8C",
    "#333333",
)
ORANGE, SKY, YELLOW, BLACK = "#E69F00", "#56B4E9", "#F0E442", "#000000"
PROPERTY_COLOURS = {"name": PURPLE, "function": BLUE, "location": VERMILION, "similarity": GREEN}
DPI = 150


def tidy(axis) -> None:
    """Removes the box, adds a faint grid behind the data and shrinks the tick labels."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(GREY)
    axis.grid(color="#E6E6E6", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8, color=GREY)
