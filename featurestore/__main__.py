"""`python -m featurestore`."""

from featurestore.cli.app import main

if __name__ == "__main__":
    main()
