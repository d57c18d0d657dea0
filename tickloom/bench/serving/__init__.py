"""What the benchmark of the forecast service needs: tickers and models, a load, a bare service beside."""
