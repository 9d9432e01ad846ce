-- title: Contents: digests of the images' bytes, as they were read for the first activations
-- column dataset: The dataset's name
-- column sample: Position in the dataset
-- column digest: BLAKE2b of the file's bytes, 16 bytes as 32 hexadecimal digits; null where they could not be read
from stored.contents
