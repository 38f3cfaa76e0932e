"""Tickets that say the same, found by how close their words are.

TF-IDF weighs the words, an SVD turns them into a few dimensions, HDBSCAN finds where tickets lie dense; what lies
alone belongs to nothing. The same texts in the same order always give the same clusters. Memory grows with the
number of texts, not with its square: neighbours are found by a tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
from sklearn.cluster import HDBSCAN
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

DIMENSIONS = 50
MOST_WORDS = 20_000
NEIGHBOURS = 3
"""How many tickets must lie close to one for it to count as dense."""
LEAST_EXPLAINED = 0.25
"""Of a text's length, what the few dimensions must hold of it."""
LEAST_COHESION = 0.1
"""Closeness of a text to the others of its cluster; what lies there by accident has hardly any."""
ONE_THING = 0.6
"""Mean closeness of all texts from which on they may be a single cluster; HDBSCAN would otherwise split them."""
TERMS = 20
REPRESENTATIVES = 3


@dataclass(frozen=True, slots=True)
class Cluster:
    """Places in the list of texts, all and the nearest to the middle (the nearest first), and the weightiest
    words."""

    members: tuple[int, ...]
    representatives: tuple[int, ...]
    terms: dict[str, float]


def find_clusters(texts: Sequence[str], smallest: int) -> list[Cluster]:
    """The clusters, the largest first. `smallest`: how many texts make one; it grows with many texts, since among ten
    thousand, a handful are alike by chance."""
    size = max(2, smallest, isqrt(len(texts)) // 4)
    if len(texts) < size:
        return []
    vectorizer = TfidfVectorizer(
        sublinear_tf=True, stop_words="english", max_features=MOST_WORDS, dtype=np.float32, strip_accents="unicode"
    )
    try:
        words = vectorizer.fit_transform(texts)
    except ValueError:  # not one word in all of them
        return []
    places, points = _placed(words)
    if len(places) < size:
        return []
    labels = HDBSCAN(
        min_cluster_size=size,
        min_samples=min(NEIGHBOURS, size),
        algorithm="kd_tree",
        allow_single_cluster=bool(_closeness_to_others(words[places]).mean() > ONE_THING),
        copy=True,
    ).fit_predict(points)
    found = []
    for label in range(labels.max() + 1):
        group = np.flatnonzero(labels == label)
        group = group[_closeness_to_others(words[places[group]]) >= LEAST_COHESION]
        if len(group) >= size:
            names = vectorizer.get_feature_names_out()
            found.append(_cluster(places[group], points[group], words[places[group]], names))
    return sorted(found, key=lambda cluster: (-len(cluster.members), cluster.members))


def _placed(words: Any) -> tuple[Any, Any]:
    """Which texts can be told apart in a few dimensions, and where they lie there. Of a text that shares no words with
    others nothing is left but rounding errors, which would all lie together."""
    if words.shape[1] > DIMENSIONS:
        points = TruncatedSVD(n_components=DIMENSIONS, random_state=0).fit_transform(words)
    else:
        points = words.toarray()
    places = np.flatnonzero(np.linalg.norm(points, axis=1) >= LEAST_EXPLAINED)
    return places, normalize(points[places])


def _closeness_to_others(words: Any) -> Any:
    """For each text the mean cosine between it and the others: 0 no word in common, 1 the same words."""
    total = np.asarray(words.sum(axis=0)).ravel()
    own = np.asarray(words.multiply(words).sum(axis=1)).ravel()
    return (words @ total - own) / max(words.shape[0] - 1, 1)


def _cluster(members: Any, points: Any, words: Any, names: Any) -> Cluster:
    closeness = points @ points.mean(axis=0)
    nearest = members[np.argsort(-closeness, kind="stable")[:REPRESENTATIVES]]
    weights = np.asarray(words.mean(axis=0)).ravel()
    heaviest = np.argsort(-weights, kind="stable")[:TERMS]
    return Cluster(
        members=tuple(int(member) for member in members),
        representatives=tuple(int(member) for member in nearest),
        terms={str(names[place]): round(float(weights[place]), 4) for place in heaviest if weights[place] > 0},
    )
