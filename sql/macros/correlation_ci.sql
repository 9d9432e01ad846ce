-- title: 95 % interval of a correlation, by Fisher's z: a struct of low and high
-- argument r: The correlation; of a perfect one there is no interval, and no certainty
-- argument n: How many pairs it comes from; below 10 there is no interval: they are too few for an approximation
-- argument excess = 0: For a rank correlation, its square / 2 (Bonett & Wright 2000); for Pearson's, 0
case
    when n >= 10 and abs(r) < 1 then {
        'low': tanh(atanh(r) - 1.959963984540054 * sqrt((1 + excess) / (n - 3))),
        'high': tanh(atanh(r) + 1.959963984540054 * sqrt((1 + excess) / (n - 3)))
    }
end
