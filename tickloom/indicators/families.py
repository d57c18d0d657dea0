"""All families, in the order of the registry."""

from tickloom.indicators.families_bars import BARS
from tickloom.indicators.families_prices import PRICES
from tickloom.indicators.spec import Family

FAMILIES: tuple[Family, ...] = (*PRICES, *BARS)
