"""The small networks and the objectives in float64 NumPy, from their formulas: record by record,
unpacked."""

import math

import jax
import numpy as np


def directional_derivative(f, x, direction, step=1e-6):
    """Central difference of the scalar `f` along `direction`; `x` and `direction` are pytrees of
    float64 arrays."""
    ahead = f(jax.tree.map(lambda a, v: a + step * v, x, direction))
    behind = f(jax.tree.map(lambda a, v: a - step * v, x, direction))
    return (ahead - behind) / (2 * step)


def softmax(x):
    exponentials = np.exp(x - np.max(x))
    return exponentials / np.sum(exponentials)


def unit(x):
    return x / math.sqrt(np.sum(x * x))


def linear(x, layer):
    return x @ layer["kernel"] + layer["bias"]


def projection(x, params):
    return linear(np.maximum(linear(x, params["input"]), 0.0), params["output"])


def token_head(x, params):
    hidden = linear(x, params["input"])
    hidden = hidden * np.vectorize(lambda z: 0.5 * (1 + math.erf(z / math.sqrt(2))))(hidden)
    hidden = hidden - hidden.mean(-1, keepdims=True)
    hidden = hidden / np.sqrt((hidden**2).mean(-1, keepdims=True) + 1e-5)
    return linear(hidden * params["norm"]["scale"] + params["norm"]["bias"], params["output"])


def prototype(t, bank, noise, temperature):
    """One property embedding t [d] through the bank [M, d]."""
    return softmax((bank @ t + noise) / temperature) @ bank


def cross_attention(protein, text, params):
    """One record: projected protein tokens [n, d] read its own biotext tokens [m, d]."""
    query, key, value = (
        linear(protein, params["query"]),
        linear(text, params["key"]),
        linear(text, params["value"]),
    )
    return np.stack([softmax(key @ q / math.sqrt(len(q))) @ value for q in query])


def info_nce(positive, negatives):
    """−log of the softmax probability of the positive logit."""
    return -math.log(
        math.exp(positive) / (math.exp(positive) + sum(math.exp(n) for n in negatives))
    )


def global_contrastive(proteins, texts, logit_scale, duplicates=()):
    """Sum over real records; `duplicates` holds pairs (i, j) that are no negatives of each
    other."""
    scale = math.exp(logit_scale)
    total = 0.0
    for n in range(len(proteins)):
        others = [
            m
            for m in range(len(proteins))
            if m != n and (n, m) not in duplicates and (m, n) not in duplicates
        ]
        own = scale * proteins[n] @ texts[n]
        to_text = info_nce(own, [scale * proteins[n] @ texts[m] for m in others])
        to_protein = info_nce(own, [scale * proteins[m] @ texts[n] for m in others])
        total += (to_text + to_protein) / 2
    return total


def sigmoid_contrast(proteins, texts, log_scale, bias, duplicates=()):
    """Sum over real records; `duplicates` as in `global_contrastive`."""
    total = 0.0
    for n in range(len(proteins)):
        for m in range(len(texts)):
            if (n, m) not in duplicates and (m, n) not in duplicates:
                z = 1 if n == m else -1
                logit = math.exp(log_scale) * proteins[n] @ texts[m] + bias
                total -= math.log(1 / (1 + math.exp(-z * logit)))
    return total


def matryoshka(proteins, texts, widths, shares, logit_scale, duplicates=()):
    """Sum over real records; `duplicates` as in `global_contrastive`."""
    total = 0.0
    for width, share in zip(widths, shares, strict=True):
        of_proteins = [unit(protein[:width]) for protein in proteins]
        of_texts = [unit(text[:width]) for text in texts]
        of_width = global_contrastive(of_proteins, of_texts, logit_scale, duplicates)
        total += share / sum(shares) * of_width
    return total


def masked_cross_entropy(logits, targets, mask):
    """Sum over the masked tokens of one record."""
    return sum(
        -math.log(softmax(row)[target])
        for row, target, masked in zip(logits, targets, mask, strict=True)
        if masked
    )


def segment_weights(p, t, theta):
    """Weights of one property t [d] over the residues p [n, d] of its record."""
    similarity = p @ t
    spread = similarity.max() - similarity.min()
    normalised = (similarity - similarity.min()) / spread if spread > 1e-6 else np.ones(len(p))
    kept = np.array([u if u >= theta else 0.0 for u in normalised])
    return kept / kept.sum()


def segment_alignment(records, theta, logit_scale, negatives):
    """(sum, count) over records, each a dict of residues `p` [n, d], prototypes `t` {property:
    [d]}, `texts` {property: id}."""
    scale = math.exp(logit_scale)
    segments, prototypes = [], []
    for r in records:
        segments.append(
            {k: unit(segment_weights(r["p"], t, theta) @ r["p"]) for k, t in r["t"].items()}
        )
        prototypes.append({k: unit(t) for k, t in r["t"].items()})
    total, count = 0.0, 0
    for n, record in enumerate(records):
        losses = []
        for k in record["t"]:
            others = []
            if negatives in ("within_record", "both"):
                others += [(n, j) for j in record["t"] if j != k]
            if negatives in ("across_records", "both"):
                same = [m for m in range(len(records)) if m != n and k in records[m]["t"]]
                others += [(m, k) for m in same if records[m]["texts"][k] != record["texts"][k]]
            if others:
                own = scale * segments[n][k] @ prototypes[n][k]
                to_prototype = info_nce(
                    own, [scale * segments[n][k] @ prototypes[m][j] for m, j in others]
                )
                to_segment = info_nce(
                    own, [scale * segments[m][j] @ prototypes[n][k] for m, j in others]
                )
                losses.append((to_prototype + to_segment) / 2)
        if losses:
            total += sum(losses) / len(losses)
            count += 1
    return total, count


def pooled_score(p, t, pooling, theta, scale):
    """Score of one protein p [n, d] with one text t [d], as that text sees it."""
    if pooling == "segment":
        return scale * unit(segment_weights(p, t, theta) @ p) @ unit(t)
    if pooling == "sequence":
        return scale * unit(p.mean(0)) @ unit(t)
    return math.log(sum(math.exp(scale * unit(residue) @ unit(t)) for residue in p) / len(p))


def late_interaction(rows, theta, logit_scale, pooling):
    """(sum, count) over the records of `rows`, lists of records as `segment_alignment` takes
    them."""
    scale = math.exp(logit_scale)
    total, count = 0.0, 0
    for row in rows:
        for record in row:
            losses = []
            for k, t in record["t"].items():
                others = [r for r in row if k in r["t"] and r["texts"][k] != record["texts"][k]]
                if others:
                    own = pooled_score(record["p"], t, pooling, theta, scale)
                    proteins = [
                        pooled_score(other["p"], t, pooling, theta, scale) for other in others
                    ]
                    texts = [
                        pooled_score(record["p"], other["t"][k], pooling, theta, scale)
                        for other in others
                    ]
                    losses.append((info_nce(own, proteins) + info_nce(own, texts)) / 2)
            if losses:
                total += sum(losses) / len(losses)
                count += 1
    return total, count


def feature_alignment(rows, logit_scale):
    """(sum, count) over properties; a record's `marked` maps properties to the indices of their
    residues."""
    scale = math.exp(logit_scale)
    total, count = 0.0, 0
    for row in rows:
        for record in row:
            for k, marked in record["marked"].items():
                if k not in record["t"] or not len(marked):
                    continue
                others = [
                    r["p"] for r in row if r is not record and r["texts"][k] != record["texts"][k]
                ]
                candidates = np.concatenate([record["p"], *others])
                logits = [scale * unit(residue) @ unit(record["t"][k]) for residue in candidates]
                total -= sum(math.log(softmax(np.array(logits))[j]) for j in marked) / len(marked)
                count += 1
    return total, count
