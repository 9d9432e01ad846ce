-- title: The metric that is asked for by name, out of those of a row
-- argument metric: fpr95, auroc, aupr_in or aupr_out
-- argument fpr95: The row's fpr95
-- argument auroc: Its auroc
-- argument aupr_in: Its aupr_in
-- argument aupr_out: Its aupr_out
case metric when 'fpr95' then fpr95 when 'auroc' then auroc when 'aupr_in' then aupr_in when 'aupr_out' then aupr_out end
