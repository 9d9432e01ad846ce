-- title: Where the image of a sample is: a struct of the file (or URL), and of the member of that file, null where it is the image
-- argument format_: How the dataset's images lie: datasets.format
-- argument location_: Where: datasets.location
-- argument path_: The sample's address there: samples.path

-- A tar's members and a Parquet file's rows are addressed below the folder that all shards of the location share: the part of
-- each name before its first wildcard or brace. The values of `let` are that folder, and the format's name.
list_transform(
    [
        {
            'kind': split_part(format_, '?', 1),
            'root': nullif(url_decode(replace(regexp_extract(format_, '[?&]root=([^&]*)', 1), '+', ' ')), ''),
            'folder': regexp_replace(location_, '/[^/]*$', ''),
            'name': regexp_extract(location_, '[^/]*$'),
            'shards': list_reduce(
                list_transform(
                    string_split(regexp_replace(location_, '\{([^,{}.]*)\}', '\1', 'g'), '::'),
                    lambda place: string_split(
                        case
                            when regexp_matches(place, '[*?{]') or regexp_matches(place, '\[.*\.(tar|parquet)$')
                                then regexp_extract(place, '^([^*?{\[]*)/', 1)
                            when regexp_matches(place, '\.(tar|parquet)$') then regexp_replace(place, '/[^/]*$', '')
                            else place
                        end,
                        '/'
                    )
                ),
                lambda one, other: list_filter(one, lambda part, depth: one[1:depth] = other[1:depth])
            )
        }
    ],
    lambda let: case
        when let.kind in ('csv', 'imglist') and starts_with(path_, '/') then {'file': path_, 'member': null}
        when let.kind in ('csv', 'imglist') then {'file': concat_ws('/', coalesce(let.root, let.folder), path_), 'member': null}
        when let.kind = 'hf' then {'file': location_, 'member': path_}
        when let.kind = 'parquet' then {
            'file': concat_ws('/', array_to_string(let.shards, '/'), regexp_replace(path_, '#\d+$', '')),
            'member': regexp_extract(path_, '#(\d+)$', 1)
        }
        when let.kind = 'tar' and regexp_matches(path_, '\.tar/')
            and (starts_with(path_, let.name || '/') or not regexp_matches(location_, '^[^*?{\[]*\.tar$') or location_ like '%::%')
            then {
                'file': concat_ws('/', array_to_string(let.shards, '/'), regexp_extract(path_, '^(.*?\.tar)/', 1)),
                'member': regexp_replace(regexp_replace(path_, '^.*?\.tar/', ''), '@\d+\+\d+$', '')
            }
        when let.kind = 'tar' then {'file': location_, 'member': path_}
        else {'file': concat_ws('/', location_, path_), 'member': null}
    end
)[1]
