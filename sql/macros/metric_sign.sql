-- title: What a metric is multiplied by so that the lower, the better: 1 for fpr95, -1 for the others
-- argument metric: fpr95, auroc, aupr_in or aupr_out
case when metric = 'fpr95' then 1 else -1 end
