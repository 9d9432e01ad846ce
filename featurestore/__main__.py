"""`python -m featurestore`."""

from featurestore.cli import main
from featurestore.packages import leave_working_folder

if __name__ == "__main__":
    leave_working_folder()
    main()
