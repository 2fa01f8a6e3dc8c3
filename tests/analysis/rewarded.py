"""A synthetic study whose answers are rewarded."""

import pandas as pd

from tests.analysis.synthetic import METHODS, write_results

NUM_CLIENTS = 5


def reward_rows(rounds, *, gain, slope):
    """Scores that rise by ``gain`` in all, and part by ``slope`` from weight 0 to weight 1."""
    rows = []
    for round_id in rounds:
        share = round_id / max(rounds)
        for client_id in range(NUM_CLIENTS):
            weight = client_id / (NUM_CLIENTS - 1)
            helpful = 0.1 + share * (gain + slope * weight)
            safe = 0.2 + share * (gain - slope * weight)
            rows.append(
                {
                    "round": round_id,
                    "at_s": 10.0 * round_id,
                    "client_id": client_id,
                    "helpfulness_weight": weight,
                    "helpfulness": helpful,
                    "safety": safe,
                    "reward": weight * helpful + (1 - weight) * safe,
                    "independent": 0.5 - 0.25 * share if slope else None,
                    "num_texts": 8,
                }
            )
    return pd.DataFrame(rows)


def write_rewarded(folder):
    """The first variant parts by preference, the second does not, the others have no rewards.

    The first one's independent reward falls by a quarter, the second has none.
    """
    folder = write_results(folder, methods=METHODS[:3], num_rounds=6)
    for variant, slope in ((METHODS[0].name, 0.5), (METHODS[1].name, 0.0)):
        for run in sorted((folder / variant).glob("seed*")):
            seed = int(run.name.removeprefix("seed"))
            rows = reward_rows((0, 3, 6), gain=1.0 + 0.1 * seed, slope=slope)
            rows.to_csv(run / "rewards.csv", index=False)
            answers = pd.DataFrame(
                [
                    {
                        "round": round_id,
                        "at_s": 0.0,
                        "client_id": client_id,
                        "text_id": 7,
                        "prompt": "def add(a, b)",
                        "answer": f"Return <b>, {round_id}.\nAgain {'x' * 300}",
                        "helpfulness": 0.5,
                        "safety": 0.25,
                    }
                    for round_id in (0, 6)
                    for client_id in (0, 1, None)
                ]
            )
            answers.to_csv(run / "answers.csv", index=False)
    return folder
