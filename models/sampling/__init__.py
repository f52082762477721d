"""Drawing pictures from models that draw them value by value: slowly, or fast and the same."""
