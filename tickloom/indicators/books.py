"""Where the formulas come from."""

MURPHY = "J. J. Murphy, Technical Analysis of the Financial Markets, 1999"
WILDER = "J. W. Wilder, New Concepts in Technical Trading Systems, 1978"
APPEL = "G. Appel, The Moving Average Convergence Divergence Trading Method, 1985"
BOLLINGER = "J. Bollinger, Bollinger on Bollinger Bands, 2001"
LANE = "G. C. Lane, Lane's Stochastics, Technical Analysis of Stocks & Commodities 2:3, 1984"
WILLIAMS = "L. Williams, How I Made One Million Dollars Last Year Trading Commodities, 1973"
ULTIMATE = "L. Williams, The Ultimate Oscillator, Technical Analysis of Stocks & Commodities 3:4, 1985"
GRANVILLE = "J. E. Granville, Granville's New Key to Stock Market Profits, 1963"
BERKOWITZ = (
    "S. A. Berkowitz, D. E. Logue, E. A. Noser, The Total Cost of Transactions on the NYSE, J. Finance 43:1, 1988"
)
GRUBBS = "F. E. Grubbs, Procedures for Detecting Outlying Observations in Samples, Technometrics 11:1, 1969"
CALENDAR_EFFECT = "J. Lakonishok, S. Smidt, Are Seasonal Anomalies Real?, Review of Financial Studies 1:4, 1988"

# for those that every textbook has, and for a definition without an author
DEFINITION = "definition"
