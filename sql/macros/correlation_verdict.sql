-- title: What may be said of a correlation: falls, rises, weaker than 0.5, or too few to tell
-- argument rho: The correlation; of null nothing is said
-- argument p: Its p, corrected for its family; below 0.05 it is said which way it goes
-- argument low: Lower end of its 95 % interval; null where there is none
-- argument high: Its upper end; where both lie between -0.5 and 0.5, a stronger correlation is excluded
case
    when rho is null then null
    when p < 0.05 and rho < 0 then 'falls'
    when p < 0.05 then 'rises'
    when low > -0.5 and high < 0.5 then 'weaker than 0.5'
    else 'too few to tell'
end
