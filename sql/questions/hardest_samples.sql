-- title: Samples that most models accept
-- question: Which OOD images pass for in-distribution with the most models and detectors?
-- asked because: What nearly all models accept is worth a look: it is hard, or not OOD at all.
-- topic: samples
-- param ood text = ninco: The OOD set
-- param detector text = all: One detector, or all
-- param tpr number = 0.95 [0, 1]: Share of the ID test samples that is accepted
-- param top integer = 20 [1, ]: How many to show
-- param benchmark text = main: The benchmark
-- reads scores: benchmark = $benchmark, detector = $detector
-- column sample: Position in the dataset
-- column ood_class: The OOD class
-- column image: File of the image, or the tar or Parquet file that holds it, where it lay when the dataset was added
-- column member: The image's name in that tar, or its row in that Parquet file; null where the file is the image
-- column judged: Models with a detector that scored it, each pair counted
-- column accepted: Pairs that accept it
-- column mean_id_rank: Mean share of the ID test samples that score lower, ties half
with judged as (
    select
        scores.sample, count(*) as judged, count(*) filter (where scores.score >= t.threshold) as accepted,
        avg(scores.id_rank) as mean_id_rank
    from scores
    inner join thresholds_at($tpr, benchmark_ := $benchmark) as t
        on t.model = scores.model and t.detector = scores.detector
    where scores.benchmark = $benchmark and scores.dataset = $ood and $detector in ('all', scores.detector)
    group by scores.sample
)

select
    judged.sample, samples.class_name as ood_class, image_place(datasets.format, datasets.location, samples.path).file as image,
    image_place(datasets.format, datasets.location, samples.path).member as member,
    judged.judged, judged.accepted, judged.mean_id_rank
from judged
inner join samples on samples.dataset = $ood and samples.sample = judged.sample
inner join datasets on datasets.dataset = $ood
order by judged.accepted / judged.judged desc, round(judged.mean_id_rank, 9) desc, judged.sample
limit $top
