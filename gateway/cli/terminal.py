"""What others wrote, in a file or at Stripe, on its way to a terminal."""


def printable(text: str) -> str:
    """Return a text without the characters that would steer the terminal."""
    return "".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in text)
