"""How prompts and answers are laid out as a dialogue, after a tokenizer's own chat template.

The template is asked once, with marks in place of prompt and answer; every text is then laid out by
what it puts around the marks. So a prompt that is too long is cut without loss of the turn's end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import transformers

from fl.problems import ModelError, one_line

_PROMPT, _ANSWER = "PROMPTPROMPT", "ANSWERANSWER"
MAX_REASON = 200
"""Longest text of an exception that a message repeats [characters]."""

Row = tuple[list[int], tuple[int, int]]
"""Tokens of a prompt as the model reads it, and where in them what is asked begins and ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatLayout:
    """What a chat template puts before a prompt, between it and the answer, and after that."""

    before: str
    between: str
    """Ends where the model is to write."""
    end_token: str
    """First special token after an answer: the end of what the model writes."""

    def prompts(
        self,
        tokenizer: transformers.PreTrainedTokenizerBase,
        prompts: Sequence[str],
        *,
        rooms: Sequence[int],
        max_tokens: int,
    ) -> list[Row]:
        """Turn prompts into ids, each without blanks at its ends and cut to its room.

        Parameters
        ----------
        tokenizer
            Fast tokenizer that the template is of.
        prompts
            What is asked.
        rooms
            Most tokens of each, those of the template included.
        max_tokens
            Longest text, for messages.

        Raises
        ------
        fl.problems.ModelError
            The template leaves no room for a prompt.
        """
        asked = [prompt.strip() for prompt in prompts]
        encoded = tokenizer(
            [f"{self.before}{text}{self.between}" for text in asked],
            add_special_tokens=False,
            return_offsets_mapping=True,
        )
        found = []
        start = len(self.before)
        for text, ids, offsets, room in zip(
            asked, encoded["input_ids"], encoded["offset_mapping"], rooms, strict=True
        ):
            first = sum(begin < start for begin, _ in offsets)
            last = sum(begin < start + len(text) for begin, _ in offsets)
            kept = min(last, room - (len(ids) - last))
            if kept <= first:
                msg = (
                    f"model.max_tokens: must be at least {2 * (first + len(ids) - last + 1)} with "
                    f"this chat template, got {max_tokens}; or set model.chat_template to never"
                )
                raise ModelError(msg)
            found.append(([*ids[:kept], *ids[last:]], (first, kept)))
        return found


def read_layout(
    tokenizer: transformers.PreTrainedTokenizerBase, *, name: str, is_needed: bool
) -> ChatLayout | None:
    """Ask a tokenizer's chat template for its layout; ``None`` where it has none.

    Parameters
    ----------
    tokenizer
        Fast tokenizer.
    name
        The model's name in the scenario, for messages.
    is_needed
        Whether a tokenizer without a template is refused.

    Raises
    ------
    fl.problems.ModelError
        One line: there is no template and one is needed, or it cannot be used.
    """
    if not tokenizer.chat_template:
        if is_needed:
            msg = (
                f"model.chat_template: the tokenizer of {name!r} has no chat template; "
                "leave the key out, or set it to never"
            )
            raise ModelError(msg)
        return None
    question = [{"role": "user", "content": _PROMPT}]
    answer = {"role": "assistant", "content": _ANSWER}
    try:
        asked = tokenizer.apply_chat_template(question, tokenize=False, add_generation_prompt=True)
        whole = tokenizer.apply_chat_template([*question, answer], tokenize=False)
    except Exception as error:  # a template is a programme of its author's
        raise _unusable(name, f"{type(error).__name__}: {error}") from None
    if not isinstance(asked, str) or not isinstance(whole, str):
        raise _unusable(name, "it gives no text")
    if asked.count(_PROMPT) != 1 or whole.count(_ANSWER) != 1:
        raise _unusable(name, "it does not repeat what is asked and answered once each")
    before, between = asked.split(_PROMPT)
    return ChatLayout(
        before=before,
        between=between,
        end_token=_first_special(tokenizer, whole.split(_ANSWER)[1]),
    )


def end_of_text(
    tokenizer: transformers.PreTrainedTokenizerBase, *, ends: Sequence[int]
) -> str | None:
    """Return the token that ends a text without a chat template.

    Of several that end one by the model's ``generation_config``, it is the one that begins texts:
    what texts were joined by in training. Else it is the tokenizer's own.

    Parameters
    ----------
    tokenizer
        Whose tokens.
    ends
        Ids of the tokens that end a text by the model's settings.
    """
    bos = tokenizer.bos_token_id
    if len(ends) > 1 and bos in ends:
        return str(tokenizer.bos_token)
    return None if tokenizer.eos_token is None else str(tokenizer.eos_token)


def _first_special(tokenizer: transformers.PreTrainedTokenizerBase, text: str) -> str:
    """Return the first special token of a text, else the token that ends texts."""
    special = set(tokenizer.all_special_ids)
    special |= {key for key, each in tokenizer.added_tokens_decoder.items() if each.special}
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    found = next((each for each in ids if each in special), tokenizer.eos_token_id)
    return "" if found is None else str(tokenizer.convert_ids_to_tokens(found))


def _unusable(name: str, reason: str) -> ModelError:
    return ModelError(
        f"model.chat_template: that of {name!r} cannot be used ({one_line(reason, MAX_REASON)}); "
        "set the key to never"
    )
