"""Instruments: measure first, then draw, then say. One file an instrument.

Each file has a frozen dataclass of numbers, a function `measure_...` that returns it, a function
`draw_...` that turns it into a matplotlib figure, and a function `say_...` that turns it into a
sentence. Instruments work on any model that a learner brings along.
"""
