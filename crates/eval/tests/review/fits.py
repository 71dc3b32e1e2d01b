"""Makes `fits.json`: Bradley-Terry strengths, Krippendorff's alpha and Elo by other ways than the crate's. Needs numpy and scipy.

    python fits.py > fits.json
"""

import itertools
import json

import numpy as np
from scipy.optimize import minimize

rng = np.random.default_rng(20240607)


def bradley_terry(wins):
    """Minimises the negative log likelihood by BFGS, the mean held at zero; then Hunter's MM steps to the last digits."""
    n = len(wins)

    def loss(s):
        d = s[:, None] - s[None, :]
        return (wins * np.logaddexp(0, -d)).sum() + s.mean() ** 2

    w = np.exp(minimize(loss, np.zeros(n), method="BFGS").x)
    games = wins + wins.T
    for _ in range(20000):
        w = wins.sum(1) / (games / (w[:, None] + w[None, :])).sum(1)
        w /= np.exp(np.log(w).mean())
    return np.log(w)


def alpha(data, metric):
    """From the reliability matrix (observers by units, NaN for missing), by Krippendorff's coincidence matrix."""
    values = np.unique(data[~np.isnan(data)])
    at = {value: index for index, value in enumerate(values)}
    o = np.zeros((len(values), len(values)))
    for unit in data.T:
        unit = unit[~np.isnan(unit)]
        for one, other in itertools.permutations(unit, 2):
            o[at[one], at[other]] += 1 / (len(unit) - 1)
    n = o.sum(0)
    delta = np.zeros_like(o)
    for c, k in itertools.combinations(range(len(values)), 2):
        if metric == "nominal":
            d = 1
        elif metric == "interval":
            d = (values[c] - values[k]) ** 2
        else:
            d = (n[c : k + 1].sum() - (n[c] + n[k]) / 2) ** 2
        delta[c, k] = delta[k, c] = d
    return 1 - (n.sum() - 1) * (o * delta).sum() / (np.outer(n, n) * delta).sum()


fits = []
for n, games, spread in [(2, 9, 0.5), (3, 30, 1), (5, 200, 1), (8, 400, 2), (12, 3000, 1.5)]:
    true = rng.normal(0, spread, n)
    wins = np.zeros((n, n))
    for _ in range(games):
        i, j = rng.choice(n, 2, replace=False)
        if rng.random() < 0.2:
            wins[i, j] += 0.5
            wins[j, i] += 0.5
        else:
            first = rng.random() < 1 / (1 + np.exp(true[j] - true[i]))
            wins[(i, j) if first else (j, i)] += 1
    # Every source needs a chance to lose.
    for i in range(n):
        wins[i, (i + 1) % n] += 0.5
        wins[(i + 1) % n, i] += 0.5
    fits.append({"wins": wins.tolist(), "strengths": bradley_terry(wins).tolist()})

X = np.nan
# The worked example of Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), part C: 4 observers, 12 units.
published = np.array([
    [1, 2, 3, 3, 2, 1, 4, 1, 2, X, X, X],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, X, 3],
    [X, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, X],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, X],
])
matrices = [published]
for observers, units in [(2, 10), (3, 40), (6, 25)]:
    truth = rng.integers(1, 6, units)
    data = np.clip(truth + rng.integers(-1, 2, (observers, units)), 1, 5).astype(float)
    data[rng.random(data.shape) < 0.3] = np.nan
    matrices.append(data)
agreement = [
    {
        "observers": [[None if np.isnan(v) else int(v) for v in row] for row in data],
        **{metric: alpha(data, metric) for metric in ("nominal", "ordinal", "interval")},
    }
    for data in matrices
]
print(json.dumps({"bradley_terry": fits, "alpha": agreement}))
