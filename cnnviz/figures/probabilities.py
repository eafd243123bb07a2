"""A probability in words."""


def percent(probability: float) -> str:
    """One decimal, and never 100 %: no softmax is that sure."""
    return "> 99.9 %" if probability > 0.9995 else f"{probability * 100:.1f} %"
