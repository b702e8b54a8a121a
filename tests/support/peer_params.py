"""Parameters of the released checkpoint as trees of this package's small networks."""


def linear(weights, name):
    """A Linear: its weight is stored [out, in]."""
    return {"kernel": weights[f"{name}.weight"].T, "bias": weights[f"{name}.bias"]}


def projection(weights, name):
    return {"input": linear(weights, f"{name}.0"), "output": linear(weights, f"{name}.2")}


def token_head(weights, name):
    norm = {"scale": weights[f"{name}.2.weight"], "bias": weights[f"{name}.2.bias"]}
    return {
        "input": linear(weights, f"{name}.0"),
        "norm": norm,
        "output": linear(weights, f"{name}.3"),
    }


def cross_attention(weights):
    return {name: linear(weights, f"decoder.{name}") for name in ("query", "key", "value")}
