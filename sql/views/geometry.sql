-- title: Geometry of feature spaces, from the class statistics of the fit dataset; of other datasets, how they lie to it
-- column model: The model's name
-- column dataset: The dataset's name
-- column fit_dataset: The fit dataset whose statistics and principal subspace it is measured by
-- column role: What the dataset is for in the benchmark: fit, id or ood; only of the fit dataset are all measures known
-- column rows: Samples
-- column norm_mean: Mean Euclidean norm of the features
-- column norm_sd: Standard deviation of the norms
-- column norm_sd_within: Standard deviation of the norms about the mean of each sample's class; null on OOD sets
-- column norm_sd_between: Standard deviation of the classes' mean norms, weighted by their samples; null on OOD sets
-- column scatter_within: Trace of the within-class covariance
-- column scatter_between: Trace of the covariance of the class means, weighted by their samples
-- column scatter_ratio: scatter_between over scatter_within
-- column nc1: tr(S_W S_B^+) / C, within-class variability collapse; 0 if classes have collapsed to their means
-- column nc2_norms: Standard deviation of the centred class means' norms over their mean; 0 if they are equally long
-- column nc2_angles: Mean distance of the class means' cosines from -1 / (C - 1); 0 if they form a simplex
-- column nc3: Distance of the centred head rows from the centred class means, both scaled to norm 1; 0 if they are aligned
-- column class_cosine_mean: Mean cosine of pairs of centred class means
-- column class_cosine_sd: Standard deviation of these cosines
-- column effective_rank_within: Effective rank: exponential of the entropy of the within-class covariance's normalised eigenvalues
-- column effective_rank_between: The effective rank of the class means, weighted by their samples
-- column effective_rank_total: The effective rank of all samples
-- column participation_within: Participation ratio of the within-class covariance: squared sum of eigenvalues over sum of squares
-- column participation_between: Participation ratio of the class means' covariance, weighted by their samples
-- column participation_total: Participation ratio of the covariance of all samples
-- column rank_within: Directions in which samples vary within classes by more than the rounding of what was stored
-- column condition_within: Largest over smallest of the within-class covariance's eigenvalues, those of rank_within
-- column kurtosis_within: Mean absolute excess kurtosis along the 32 leading directions within classes; 0 if Gaussian
-- column principal_dim: Dimensions of the principal subspace: the fewest that hold 95 % of the fit dataset's variance
-- column energy_outside: Share of the squared distance from the fit mean that lies outside the principal subspace
select
    model, dataset, fit_dataset, role, "rows", norm_mean, norm_sd, norm_sd_within, norm_sd_between, scatter_within,
    scatter_between, scatter_ratio, nc1, nc2_norms, nc2_angles, nc3, class_cosine_mean, class_cosine_sd,
    effective_rank_within, effective_rank_between, effective_rank_total, participation_within, participation_between,
    participation_total, rank_within, condition_within, kurtosis_within, principal_dim, energy_outside
from stored.geometry
