"""A reward of your own: ``helpfulness: {kind: "own_reward.py:NamesItsArguments", part: 0.5}``."""
# ruff: noqa: ANN001, ANN201, ANN204, B905, D101, D102


class NamesItsArguments:
    def __init__(self, *, part=1.0):
        self.part = part

    def scores(self, prompts, responses):
        asked = [set(prompt.rstrip(")").partition("(")[2].split(", ")) for prompt in prompts]
        told = [set(response.lower().split()) for response in responses]
        return [min(1.0, len(a & t) / len(a) / self.part) for a, t in zip(asked, told)]
