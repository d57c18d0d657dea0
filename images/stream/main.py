"""What a SparkApplication names as its main file: the command line."""

from tickloom.cli.main import app

if __name__ == "__main__":
    app()
