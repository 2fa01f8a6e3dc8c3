import pytest

from fl.data import prose


@pytest.mark.parametrize(
    ("paragraph", "expected"),
    [
        ("Return the :class:`~numpy.ndarray` *x*, see `np.sum`.", "Return the x, see."),
        ("Like `scipy.stats.norm`, but ``faster`` [1]_.", "Like, but faster."),
        ("Convert to a torch.Tensor or a pd.DataFrame.", "Convert to a or a."),
        ("PyTorch and SymPy call sympify() here.", "and call here."),
        ("See `the guide <https://example.org>`_ for more.", "See the guide for more."),
        ("A `.Figure` holds every `~.Axes` at once.", "A Figure holds every Axes at once."),
        ("An npm spade is no alias.", "An npm spade is no alias."),
    ],
)
def test_markup_and_giveaway_names_go(paragraph, expected):
    assert prose.clean(paragraph) == expected


@pytest.mark.parametrize("name", [*prose.LIBRARY_NAMES, *prose.ALIASES])
@pytest.mark.parametrize("form", ["{}", "{}.thing", "my.{}.thing", "({})", "`{}`"])
def test_no_giveaway_name_survives_in_any_case(name, form):
    for cased in (name, name.upper(), name.capitalize()):
        words = prose.clean(f"Uses {form.format(cased)} for all of it.").casefold()
        assert name not in words.replace(".", " ").split()
        assert name in prose.ALIASES or name not in words


def test_cheap_name_test_passes_wherever_names_match():
    texts = ["np.x", "my.Torchvision.ops", "Hugging Face", "the huggingface hub", "plain words"]
    for text in texts:
        assert not prose._NAMES.search(text) or prose._MAY_NAME.search(text)


def test_paragraphs_are_cut_at_blank_lines_and_joined_to_one_line():
    assert prose.paragraphs("One\n  two.\n\n   \nThree.\n") == ["One two.", "Three."]


@pytest.mark.parametrize(
    "paragraph",
    [
        "func(a, b=None, /)",
        "ndarray.sum(axis) -> float",
        ">>> x = 1",
        "Parameters\n------"[11:],
        ".. note:: careful",
        "Example::",
        "{{ template }}",
        "value (int, optional): the thing",
    ],
)
def test_signatures_rules_and_code_are_no_prose(paragraph):
    assert not prose.is_prose(paragraph)


def test_sentences_are_prose():
    assert prose.is_prose("Return the sum of x (over all axes).")


def test_readable_bounds_words_and_letters():
    assert prose.is_readable("one two three", min_words=3, max_words=3)
    assert not prose.is_readable("one two three", min_words=4, max_words=9)
    assert not prose.is_readable("one two three", min_words=1, max_words=2)
    assert not prose.is_readable("a = b + c * (d - e)", min_words=1, max_words=20)
    assert not prose.is_readable("na\u00efve words are here", min_words=1, max_words=9)
