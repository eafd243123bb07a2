"""What is wrong with an input, in one sentence that the page can show."""


class InputError(ValueError):
    """The message is one sentence for the person who gave the input."""
